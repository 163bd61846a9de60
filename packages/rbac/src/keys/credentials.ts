/** Where a request carries its key. */
import type { IncomingHttpHeaders } from 'node:http'
import { isSecret } from './secret.js'

const bearer = /^Bearer +(\S+) *$/i

/**
 * The API key that a request carries as `Authorization: Bearer …` or `X-Api-Key: …`; undefined without one. A Bearer
 * token that is not the text of a key is the host's own: sessions and keys may come in the same header.
 */
export function apiKeyOf(headers: IncomingHttpHeaders): string | undefined {
  const [, token] = bearer.exec(headers.authorization ?? '') ?? []
  return isSecret(token) ? token : one(headers['x-api-key'])
}

/** Whatever a request sends where only a key can be meant. */
export function credentialOf(headers: IncomingHttpHeaders, header: string | undefined): string | undefined {
  const name = header?.toLowerCase()
  const [, token] = bearer.exec(headers.authorization ?? '') ?? []
  if (name === 'authorization') return token
  return name === undefined ? (token ?? one(headers['x-api-key'])) : one(headers[name])
}

function one(value: string | string[] | undefined): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}
