/** Connections that only reach addresses which the guard allows. */
import { type LookupAddress, type LookupOptions, lookup as systemLookup } from 'node:dns'
import { isIP, type LookupFunction, type Socket } from 'node:net'
import { rootCertificates } from 'node:tls'
import { buildConnector, Client } from 'undici'
import type { AddressGuard } from './address-guard.js'

/** No address of the host may be reached. */
export class ForbiddenAddress extends Error {
  readonly code = 'ADDRESS_FORBIDDEN'
  readonly address: string | undefined

  constructor(host: string, addresses: readonly string[]) {
    super(`${host} is at ${addresses.join(', ')}, which deliveries may not reach`)
    this.address = addresses[0]
  }
}

export interface ConnectOptions {
  guard: AddressGuard
  lookup: LookupFunction | undefined
  ca: string | Buffer | undefined
  timeoutMs: number
}

/**
 * A connector for undici. Node.js calls no `lookup` for IP literals, so they are judged on their own; of a name, only
 * the addresses that were judged are handed on to be connected to.
 */
export function guardedConnector(options: ConnectOptions): buildConnector.connector {
  const { guard, ca, timeoutMs } = options
  const lookup = options.lookup ?? (systemLookup as LookupFunction)
  const roots = ca === undefined ? {} : { ca: [...rootCertificates, ca.toString()] }
  const connectorFor = (protocol: 'http:' | 'https:') =>
    buildConnector({ ...roots, allowH2: false, timeout: timeoutMs, lookup: guardedLookup(lookup, guard, protocol) })
  const connectors = { 'http:': connectorFor('http:'), 'https:': connectorFor('https:') }

  return (target, callback) => {
    const protocol = target.protocol === 'http:' ? 'http:' : 'https:'
    const host = target.hostname.replace(/^\[|\]$/g, '')
    if (isIP(host) !== 0 && !guard.allows(host, protocol)) return callback(new ForbiddenAddress(host, [host]), null)
    connectors[protocol](target, callback)
  }
}

function guardedLookup(lookup: LookupFunction, guard: AddressGuard, protocol: 'http:' | 'https:'): LookupFunction {
  return (hostname, options: LookupOptions, callback) => {
    lookup(hostname, { ...options, all: true }, (error, found, family) => {
      if (error) return callback(error, '', undefined)
      const all: LookupAddress[] =
        typeof found === 'string' ? [{ address: found, family: family ?? isIP(found) }] : found
      const allowed = all.filter(({ address }) => guard.allows(address, protocol))
      const [first] = allowed
      if (!first) {
        const addresses = all.map(({ address }) => address)
        return callback(new ForbiddenAddress(hostname, addresses), '', undefined)
      }
      if (options.all) callback(null, allowed)
      else callback(null, first.address, first.family)
    })
  }
}

/** Where an exchange learns which address it went to. */
export interface Route {
  address: string | null
}

/** One connection at a time, and the address it goes to. Travels as the request's `opaque`. */
export class TracedClient extends Client {
  readonly #route: Route

  constructor(origin: string | URL, options: Client.Options, connect: buildConnector.connector) {
    const route: Route = { address: null }
    super(origin, {
      ...options,
      connect: (target, callback) => {
        const connected: buildConnector.Callback = (...[error, socket]) => {
          route.address = (socket as Socket | null)?.remoteAddress ?? null
          if (error) callback(error, null)
          else callback(null, socket)
        }
        connect(target, connected)
      },
    })
    this.#route = route
  }

  override dispatch(...[options, handler]: Parameters<Client['dispatch']>): boolean {
    const { opaque } = options as { opaque?: { route: Route } }
    if (opaque) opaque.route = this.#route
    return super.dispatch(options, handler)
  }
}
