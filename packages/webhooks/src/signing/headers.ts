/** Which headers a host or a customer may add to a request of ours, and what may stand in them (RFC 9110 §5). */
import { z } from 'zod'

/** Those that say what is signed, how the body is framed, who sends it, and what a proxy or a tracer reads. */
const reserved = new Set([
  'accept-encoding',
  'connection',
  'content-encoding',
  'content-length',
  'content-type',
  'date',
  'expect',
  'host',
  'keep-alive',
  'te',
  'traceparent',
  'tracestate',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'user-agent',
])

/** Whether only we may write this header; in any case, and `:path` and its like of HTTP/2 as well. */
export function isReservedHeader(name: string): boolean {
  const lower = name.toLowerCase()
  return reserved.has(lower) || /^(?:webhook-|proxy-|:)/.test(lower)
}

/** A header of the customer's own: a token of at most 128 characters that is not reserved. */
export const HeaderName = z
  .string()
  .max(128)
  .regex(/^[\w!#$%&'*+.^`|~-]+$/, "a header name is letters, digits and any of !#$%&'*+-.^_`|~")
  .refine((name) => !isReservedHeader(name), 'this header is ours to write: take another name')

/** Visible ASCII with spaces inside, at most 4096 characters. No line break gets into a request by it. */
export const HeaderValue = z
  .string()
  .max(4096)
  .regex(/^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/, 'must be visible ASCII, with spaces only inside')
