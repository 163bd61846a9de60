/** Base64 (RFC 4648 §4), read strictly: Node.js itself skips what it does not know. */

/** The bytes, or null if this is not base64 to the last bit. The padding may be left out. */
export function decodeBase64(text: string): Buffer | null {
  const bytes = Buffer.from(text, 'base64')
  const again = bytes.toString('base64')
  return again === text || again.replace(/=+$/, '') === text ? bytes : null
}
