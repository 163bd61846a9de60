/** Secrets at rest: AES-256-GCM (NIST SP 800-38D) with keys of the host's, each text bound to the row that it is of. */
import { createCipheriv, createDecipheriv, createSecretKey, type KeyObject } from 'node:crypto'
import { coreErrors, type Random } from '@org/core'
import { decodeBase64 } from './base64.js'
import { boundedMap } from './bounded-map.js'

/**
 * Named keys: the current one seals, all of them open. To rotate, add a key, make it the current one, and take the old
 * one out when nothing is sealed with it any more.
 */
export interface EncryptionOptions {
  /** By a name of your choice (1 to 32 letters, digits, `_` and `-`), the base64 of 32 random bytes. */
  keys: Readonly<Record<string, string>>
  /** The name of the key that seals. */
  current: string
}

export interface Vault {
  /** What is stored. `context` says whose it is; the same is needed to open it. */
  seal(plain: string, context: string): string
  /**
   * What was sealed. What was stored before there was a key opens as it is.
   *
   * @throws ProblemError `setup_error` if the key is not there or is another, or the text was changed or copied from
   *   another row.
   */
  open(stored: string, context: string): string
  /** Whether sealing it again would change how it is kept. */
  isCurrent(stored: string): boolean
}

const sealedBy = (keyId: string) => `enc:1:${keyId}:`
/** Before plain text that would look like sealed text. */
const plainMark = 'enc:0:'
const sealedText = /^enc:1:([\w-]{1,32}):(.+)$/

const nonceBytes = 12
const tagBytes = 16

/** How many opened texts are kept: the engine opens the same ones with each delivery. */
const cachedTexts = 10_000

/** Stores plain text without `options`. @throws ProblemError `setup_error` for keys that cannot work. */
export function createVault(options: EncryptionOptions | undefined, random: Pick<Random, 'bytes'>): Vault {
  const keys = new Map(Object.entries(options?.keys ?? {}).map(([id, text]) => [id, importKey(id, text)]))
  const current = options && { id: options.current, key: currentKey(options.current, keys) }
  const opened = boundedMap<string, { context: string; plain: string }>(cachedTexts)

  return {
    seal(plain, context) {
      if (!current) return plain.startsWith('enc:') ? plainMark + plain : plain
      return sealedBy(current.id) + encrypt(plain, current.key, context, random.bytes(nonceBytes)).toString('base64')
    },

    open(stored, context) {
      if (!stored.startsWith('enc:')) return stored
      if (stored.startsWith(plainMark)) return stored.slice(plainMark.length)
      const known = opened.get(stored)
      if (known?.context === context) return known.plain
      const [, keyId = '', text = ''] = sealedText.exec(stored) ?? []
      const plain = decrypt(text, keyId, openingKey(keyId, keys), context)
      opened.set(stored, { context, plain })
      return plain
    },

    isCurrent: (stored) =>
      current ? stored.startsWith(sealedBy(current.id)) : !stored.startsWith('enc:') || stored.startsWith(plainMark),
  }
}

function importKey(id: string, text: unknown): KeyObject {
  if (!/^[\w-]{1,32}$/.test(id)) {
    throw setupError(`The name "${id}" in \`encryption.keys\` must be 1 to 32 letters, digits, _ and -.`)
  }
  const bytes = typeof text === 'string' ? decodeBase64(text) : null
  if (bytes?.length === 32) return createSecretKey(bytes)
  throw setupError(
    `\`encryption.keys\`: "${id}" must be the base64 of 32 bytes, as \`openssl rand -base64 32\` prints.`,
  )
}

function currentKey(id: string, keys: ReadonlyMap<string, KeyObject>): KeyObject {
  const key = keys.get(id)
  if (key) return key
  throw setupError(`\`encryption.current\` is "${id}", which \`encryption.keys\` does not have.`)
}

function openingKey(id: string, keys: ReadonlyMap<string, KeyObject>): KeyObject {
  const key = keys.get(id)
  if (key) return key
  if (id) throw setupError(`A stored secret is sealed with the key "${id}": add it to \`encryption.keys\`.`)
  throw setupError('A stored secret is sealed in a way that this version does not know.')
}

function encrypt(plain: string, key: KeyObject, context: string, nonce: Uint8Array): Buffer {
  const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: tagBytes })
  cipher.setAAD(Buffer.from(context))
  const text = Buffer.concat([cipher.update(plain, 'utf8'), cipher.final()])
  return Buffer.concat([nonce, cipher.getAuthTag(), text])
}

function decrypt(text: string, keyId: string, key: KeyObject, context: string): string {
  try {
    const bytes = Buffer.from(text, 'base64')
    const nonce = bytes.subarray(0, nonceBytes)
    const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: tagBytes })
    decipher.setAAD(Buffer.from(context)).setAuthTag(bytes.subarray(nonceBytes, nonceBytes + tagBytes))
    return Buffer.concat([decipher.update(bytes.subarray(nonceBytes + tagBytes)), decipher.final()]).toString()
  } catch {
    throw setupError(
      `A stored secret does not open with the key "${keyId}" of \`encryption.keys\`: the key is not the one that sealed ` +
        'it, or the row was changed or copied from another.',
    )
  }
}

function setupError(detail: string) {
  return coreErrors.setup_error({ detail })
}
