/**
 * Refuses requests that another site made a signed-in browser send, by Fetch Metadata
 * (https://www.w3.org/TR/fetch-metadata/) and, for browsers without it, by Origin (RFC 6454). Only credentials that a
 * browser attaches by itself are at risk: a Bearer token is put there by the page's own code.
 */
import { coreErrors } from '../errors.js'
import type { HttpRequest } from './message.js'

/** @throws ProblemError `cross_site_request`. */
export function checkOrigin(
  request: Pick<HttpRequest, 'raw' | 'origin'>,
  method: string,
  trusted: readonly string[] = [],
): void {
  if (method === 'GET' || method === 'HEAD' || method === 'OPTIONS') return
  const { headers } = request.raw
  if (/^bearer /i.test(headers.authorization ?? '')) return
  const { origin } = headers
  const own = request.origin
  if (origin !== undefined && (origin === own || trusted.includes(origin))) return
  const site = headers['sec-fetch-site']
  const allowed = site === undefined ? origin === undefined : site === 'same-origin' || site === 'none'
  if (!allowed) {
    throw coreErrors.cross_site_request({
      detail: `Origin ${origin ?? 'unknown'} is not ${own}; list it in \`trustedOrigins\` if it is yours.`,
    })
  }
}
