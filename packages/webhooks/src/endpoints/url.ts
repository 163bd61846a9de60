/** What may be registered as an endpoint's URL. Names are judged again when they are resolved, at each connection. */
import { isIP } from 'node:net'
import { coreErrors } from '@org/core'
import type { AddressGuard } from '../delivery/address-guard.js'

/** The URL in its normal form. @throws ProblemError `invalid_input` at `/url`, saying why. */
export function checkEndpointUrl(input: string, guard: AddressGuard): string {
  const url = URL.canParse(input) ? new URL(input) : refuse('must be an absolute URL such as https://example.com/hooks')
  const { protocol } = url
  if (protocol !== 'https:' && protocol !== 'http:') refuse('must start with https://')
  if (protocol === 'http:' && !guard.allowHttp) refuse('must start with https://; plain http is not delivered to')
  if (url.username !== '' || url.password !== '') refuse('must not hold a user name or password')
  if (url.hash !== '') refuse('must not hold a fragment, which is never sent')
  if (url.port === '0') refuse('must not name port 0')
  checkHost(url.hostname, protocol as 'http:' | 'https:', guard)
  return url.href
}

function checkHost(hostname: string, protocol: 'http:' | 'https:', guard: AddressGuard): void {
  // The URL parser has turned 0x7f.1, 2130706433 and ①②⑦.… into plain dotted form; a trailing dot stays on names.
  const host = hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '')
  const loopback = host === 'localhost' || host.endsWith('.localhost')
  const literals = isIP(host) !== 0 ? [host] : loopback ? ['127.0.0.1', '::1'] : []
  if (literals.length === 0 || literals.some((ip) => guard.allows(ip, protocol))) return
  if (protocol === 'http:') refuse(`must start with https://; plain http is not delivered to ${host}`)
  refuse(`must be reachable from the public internet; ${host} is a private, loopback or reserved address`)
}

function refuse(detail: string): never {
  throw coreErrors.invalid_input({ errors: [{ pointer: '/url', detail }] })
}
