/** A second signature next to ours, for receivers that still verify as their former sender signed. */
import { createHmac } from 'node:crypto'
import { z } from 'zod'
import { HeaderName } from './headers.js'
import type { SignedContent } from './sign.js'

/**
 * - `hmac-sha256-hex`: the HMAC-SHA256 of the body in hex;
 * - `hmac-sha256-prefixed`: the same after `sha256=`, as GitHub's;
 * - `timestamped`: `t=<unix seconds>,v1=<hex over "t.body">`, as Stripe's.
 */
const Scheme = z.enum(['hmac-sha256-hex', 'hmac-sha256-prefixed', 'timestamped'])

/** In which header, how, and with which secret: its UTF-8 is the key, whatever it looks like. */
export const ExtraSignature = z.strictObject({
  header: HeaderName,
  scheme: Scheme,
  secret: z.string().min(1, 'must not be empty: anybody can sign with that').max(1024),
})
export type ExtraSignature = z.infer<typeof ExtraSignature>

/** The header, its name in lower case. */
export function extraSignatureHeader(
  { header, scheme, secret }: ExtraSignature,
  { timestamp, body }: Pick<SignedContent, 'timestamp' | 'body'>,
): [name: string, value: string] {
  const hex = (text: string) => createHmac('sha256', secret).update(text).digest('hex')
  const values = {
    'hmac-sha256-hex': () => hex(body),
    'hmac-sha256-prefixed': () => `sha256=${hex(body)}`,
    timestamped: () => `t=${timestamp},v1=${hex(`${timestamp}.${body}`)}`,
  } satisfies Record<ExtraSignature['scheme'], () => string>
  return [header.toLowerCase(), values[scheme]()]
}
