/** Tunnels through the host's HTTP proxy (CONNECT, RFC 9110 section 9.3.6). */
import { request as overHttp } from 'node:http'
import { request as overHttps } from 'node:https'
import { isIP, type Socket } from 'node:net'
import type { SecureContext } from 'node:tls'
import { coreErrors } from '@org/core'

/** Where the proxy is, and what it wants to be told. */
export interface ProxyServer {
  secure: boolean
  hostname: string
  port: number
  /** The `proxy-authorization` header, if it has a user. */
  authorization: string | null
}

/** @throws ProblemError `setup_error` for what is not the address of a proxy. */
export function parseProxy(input: string): ProxyServer {
  const url = URL.canParse(input) ? new URL(input) : null
  const isProxy = url && /^https?:$/.test(url.protocol) && url.pathname === '/' && url.search === '' && url.hash === ''
  const credentials = isProxy ? credentialsOf(url) : null
  if (!isProxy || credentials === null || url.port === '0') {
    throw coreErrors.setup_error({
      detail: '`network.proxy` must be a URL such as http://user:password@proxy.internal:3128, without a path.',
    })
  }
  const secure = url.protocol === 'https:'
  return {
    secure,
    hostname: url.hostname.replace(/^\[|\]$/g, ''),
    port: Number(url.port) || (secure ? 443 : 80),
    authorization: credentials === '' ? null : `Basic ${Buffer.from(credentials).toString('base64')}`,
  }
}

/** Null if they are not well encoded. */
function credentialsOf({ username, password }: URL): string | null {
  if (username === '' && password === '') return ''
  try {
    return `${decodeURIComponent(username)}:${decodeURIComponent(password)}`
  } catch {
    return null
  }
}

/** The proxy could not be reached, or would not let us through. Its words name no address of the host's network. */
export class ProxyError extends Error {
  readonly code = 'PROXY_FAILED'
  /** Whether it let us in, but did not reach the address it was asked for. Another address may do. */
  readonly unreached: boolean

  constructor(detail: string, unreached = false) {
    super(detail)
    this.unreached = unreached
  }
}

/** A connection to the address, by way of the proxy. `context` holds the roots that an `https:` proxy is checked by. */
export function tunnel(
  proxy: ProxyServer,
  address: string,
  port: number,
  context: () => SecureContext,
  signal: AbortSignal,
): Promise<Socket> {
  const authority = isIP(address) === 6 ? `[${address}]:${port}` : `${address}:${port}`
  const { secure, hostname, authorization } = proxy
  return new Promise((resolve, reject) => {
    const request = (secure ? overHttps : overHttp)({
      method: 'CONNECT',
      host: hostname,
      port: proxy.port,
      path: authority,
      headers: { host: authority, ...(authorization !== null && { 'proxy-authorization': authorization }) },
      agent: false,
      signal,
      ...(secure && { secureContext: context(), ...(isIP(hostname) === 0 && { servername: hostname }) }),
    })
    request.once('connect', ({ statusCode = 0 }, socket: Socket, head: Buffer) => {
      if (statusCode >= 200 && statusCode < 300) {
        if (head.length > 0) socket.unshift(head)
        resolve(socket)
        return
      }
      socket.on('error', () => {}).destroy()
      const unreached = statusCode !== 401 && statusCode !== 403 && statusCode !== 407
      reject(new ProxyError(`The host's proxy answered ${statusCode} to CONNECT.`, unreached))
    })
    request.once('response', (response) => {
      response.destroy()
      reject(new ProxyError("The host's proxy does not speak CONNECT."))
    })
    request.on('error', (error: NodeJS.ErrnoException) => {
      reject(new ProxyError(`The host's proxy cannot be used (${error.code ?? error.name}).`))
    })
    request.end()
  })
}
