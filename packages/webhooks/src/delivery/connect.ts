/** Connections that only reach addresses which the guard allows. */
import type { LookupAddress, LookupOptions } from 'node:dns'
import { connect as connectTcp, isIP, type LookupFunction, type Socket } from 'node:net'
import { createSecureContext, rootCertificates, type SecureContext } from 'node:tls'
import { buildConnector } from 'undici'
import type { AddressGuard } from './address-guard.js'
import { sharedLookup } from './lookup.js'
import { ProxyError, type ProxyServer, tunnel } from './proxy.js'

type Protocol = 'http:' | 'https:'

/** No address of the host may be reached. Does not tell which they are: customers read it, and it may be our network. */
export class ForbiddenAddress extends Error {
  readonly code = 'ADDRESS_FORBIDDEN'

  constructor(host: string) {
    super(`${host} is at no address that deliveries may reach: none is public, or allowed by name`)
  }
}

export interface ConnectOptions {
  guard: AddressGuard
  lookup: LookupFunction | undefined
  ca: string | Buffer | undefined
  proxy: ProxyServer | null
}

/**
 * Makes a connection that is ready for HTTP. Tells `reached` the judged address as soon as it goes there, so that it
 * is known of what fails later, too. Ends what it has begun when the signal says so, and has no deadline of its own.
 */
export type Dial = (target: buildConnector.Options, signal: AbortSignal, reached: Reached) => Promise<Socket>

type Reached = (address: string | null) => void

/**
 * Node.js calls no `lookup` for IP literals, so they are judged on their own; of a name, only the addresses that were
 * judged are connected to. TLS is spoken with the endpoint's own name, whichever way its address is reached.
 */
export function guardedDial(options: ConnectOptions): Dial {
  const { guard, ca, proxy } = options
  const lookup = options.lookup ?? sharedLookup
  // Made once and late: it parses some 150 certificates.
  let made: SecureContext | null = null
  const context = () => {
    made ??= createSecureContext(ca === undefined ? {} : { ca: [...rootCertificates, ca.toString()] })
    return made
  }
  let connectTls: buildConnector.connector | null = null

  async function reach(host: string, port: number, protocol: Protocol, signal: AbortSignal, reached: Reached) {
    if (isIP(host) !== 0 && !guard.allows(host, protocol)) throw new ForbiddenAddress(host)
    const judged = guardedLookup(lookup, guard, protocol)
    if (proxy) {
      const addresses = isIP(host) === 0 ? await resolveAll(judged, host) : [host]
      return throughProxy(proxy, addresses, port, context, signal, reached)
    }
    signal.throwIfAborted()
    const socket = connectTcp({ host, port, lookup: judged, noDelay: true, keepAlive: true })
    await once(socket, 'connect', signal)
    reached(socket.remoteAddress ?? null)
    return socket
  }

  return async (target, signal, reached) => {
    const protocol = target.protocol === 'http:' ? 'http:' : 'https:'
    const host = target.hostname.replace(/^\[|\]$/g, '')
    const port = Number(target.port) || (protocol === 'http:' ? 80 : 443)
    const socket = await reach(host, port, protocol, signal, reached)
    if (protocol === 'http:') return socket
    connectTls ??= buildConnector({ secureContext: context(), allowH2: false, timeout: 0 })
    return secured(connectTls, target, socket, signal)
  }
}

/** One address after the other, until the proxy reaches one. */
async function throughProxy(
  proxy: ProxyServer,
  addresses: string[],
  port: number,
  context: () => SecureContext,
  signal: AbortSignal,
  reached: Reached,
): Promise<Socket> {
  for (const [index, address] of addresses.entries()) {
    reached(address)
    try {
      return await tunnel(proxy, address, port, context, signal)
    } catch (error) {
      const last = index === addresses.length - 1
      if (last || !(error instanceof ProxyError && error.unreached)) throw error
    }
  }
  throw new ProxyError('There is no address to connect to.')
}

function once(socket: Socket, event: 'connect', signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => socket.destroy(signal.reason as Error)
    signal.addEventListener('abort', stop, { once: true })
    socket.once(event, () => {
      signal.removeEventListener('abort', stop)
      resolve()
    })
    socket.on('error', reject) // stays, so that no later error of the socket is one that nobody hears
  })
}

function secured(
  connectTls: buildConnector.connector,
  target: buildConnector.Options,
  raw: Socket,
  signal: AbortSignal,
): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      raw.destroy()
      reject(signal.reason)
    }
    if (signal.aborted) return stop()
    signal.addEventListener('abort', stop, { once: true })
    connectTls({ ...target, httpSocket: raw }, (error, socket) => {
      signal.removeEventListener('abort', stop)
      if (error) raw.destroy()
      if (error) reject(error)
      else resolve(socket)
    })
  })
}

function resolveAll(lookup: LookupFunction, host: string): Promise<string[]> {
  return new Promise((resolve, reject) => {
    lookup(host, { all: true }, (error, found) => {
      if (error) reject(error)
      else resolve((found as LookupAddress[]).map(({ address }) => address))
    })
  })
}

function guardedLookup(lookup: LookupFunction, guard: AddressGuard, protocol: Protocol): LookupFunction {
  return (hostname, options: LookupOptions, callback) => {
    lookup(hostname, { ...options, all: true }, (error, found, family) => {
      if (error) return callback(error, '', undefined)
      const all: LookupAddress[] =
        typeof found === 'string' ? [{ address: found, family: family ?? isIP(found) }] : found
      const allowed = all.filter(({ address }) => guard.allows(address, protocol))
      const [first] = allowed
      if (all.length === 0) {
        const empty = Object.assign(new Error(`${hostname} has no address`), { code: 'ENODATA' })
        return callback(empty, '', undefined)
      }
      if (!first) return callback(new ForbiddenAddress(hostname), '', undefined)
      if (options.all) callback(null, allowed)
      else callback(null, first.address, first.family)
    })
  }
}
