/** Names what went wrong on the wire. */
import { errors } from 'undici'
import type { AttemptError } from '../deliveries/schema.js'

/** An exchange's error, and what is known of it. */
export interface Failure {
  error: AttemptError
  detail: string
  /** The address that was tried, if there was one. */
  address?: string
}

const byCode: Readonly<Record<string, AttemptError>> = {
  ADDRESS_FORBIDDEN: 'address_forbidden',
  ENOTFOUND: 'dns_failed',
  EAI_AGAIN: 'dns_failed',
  EAI_FAIL: 'dns_failed',
  ENODATA: 'dns_failed',
  ECONNREFUSED: 'connection_refused',
  EHOSTUNREACH: 'connection_refused',
  ENETUNREACH: 'connection_refused',
  ECONNRESET: 'connection_closed',
  ECONNABORTED: 'connection_closed',
  EPIPE: 'connection_closed',
  UND_ERR_SOCKET: 'connection_closed',
  ETIMEDOUT: 'timeout',
  ENDLESS_PRELUDE: 'malformed_response',
  UND_ERR_HEADERS_OVERFLOW: 'malformed_response',
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: 'malformed_response',
  EPROTO: 'tls_failed',
  CERT_HAS_EXPIRED: 'tls_failed',
  CERT_NOT_YET_VALID: 'tls_failed',
  CERT_REVOKED: 'tls_failed',
  CERT_REJECTED: 'tls_failed',
  CERT_UNTRUSTED: 'tls_failed',
  CERT_CHAIN_TOO_LONG: 'tls_failed',
  CERT_SIGNATURE_FAILURE: 'tls_failed',
  INVALID_CA: 'tls_failed',
  INVALID_PURPOSE: 'tls_failed',
  PATH_LENGTH_EXCEEDED: 'tls_failed',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'tls_failed',
  SELF_SIGNED_CERT_IN_CHAIN: 'tls_failed',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'tls_failed',
  UNABLE_TO_GET_ISSUER_CERT: 'tls_failed',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'tls_failed',
}

/** By the error's code or class, never by its words. */
export function failureOf(error: unknown): Failure {
  const { code, address } = error as { code?: unknown; address?: unknown }
  // An error of several addresses (RFC 8305) has no words of its own.
  const causes: unknown[] = error instanceof AggregateError ? error.errors : [error]
  const detail = causes.map((cause) => (cause instanceof Error ? cause.message : String(cause))).join('; ')
  return {
    error: errorOf(error, typeof code === 'string' ? code : ''),
    detail: detail.slice(0, 500),
    ...(typeof address === 'string' && { address }),
  }
}

function errorOf(error: unknown, code: string): AttemptError {
  // The parser's errors have a code for each way to be wrong.
  if (error instanceof errors.HTTPParserError) return 'malformed_response'
  const known = Object.hasOwn(byCode, code) ? byCode[code] : undefined
  if (known) return known
  return code.startsWith('ERR_TLS_') || code.startsWith('ERR_SSL_') ? 'tls_failed' : 'send_failed'
}
