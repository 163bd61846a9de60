/** Finds the three headers, whatever kind of headers a framework hands over. */
import { WebhookVerificationError } from './error.js'

/** Fetch `Headers`, the headers of a Node.js request, or a plain object; names in any case. */
export type ReceivedHeaders =
  | { get(name: string): string | null }
  | Readonly<Record<string, string | readonly string[] | undefined>>

const parts = ['id', 'timestamp', 'signature'] as const

type SignedHeaders = Record<(typeof parts)[number], string>

/**
 * `webhook-…`, or all three as `svix-…`, an older name of them, when none of the former is there. The two are never mixed,
 * and the names are not signed: whoever renames them gains nothing, since the values must agree all the same.
 */
export function signedHeaders(headers: ReceivedHeaders): SignedHeaders {
  const standard = parts.some((part) => lookUp(headers, `webhook-${part}`) !== undefined)
  const older = !standard && parts.some((part) => lookUp(headers, `svix-${part}`) !== undefined)
  const read = (part: (typeof parts)[number]) => header(headers, `${older ? 'svix' : 'webhook'}-${part}`)
  return { id: read('id'), timestamp: read('timestamp'), signature: read('signature') }
}

function header(headers: ReceivedHeaders, name: string): string {
  const value = lookUp(headers, name)
  if (value === undefined || value === '') {
    throw new WebhookVerificationError('missing_header', `The header ${name} is missing.`)
  }
  if (typeof value !== 'string') {
    throw new WebhookVerificationError('malformed_header', `The header ${name} was sent more than once.`)
  }
  return value
}

/** Undefined if it is not there. */
function lookUp(headers: ReceivedHeaders, name: string): unknown {
  if (typeof headers.get === 'function') return headers.get(name) ?? undefined
  for (const [key, value] of Object.entries(headers)) if (key.toLowerCase() === name) return value ?? undefined
  return undefined
}
