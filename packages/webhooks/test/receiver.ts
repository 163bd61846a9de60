/** Real receivers on loopback. */
import { readFileSync } from 'node:fs'
import { createServer, type IncomingHttpHeaders, type RequestListener, type Server } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import { type AddressInfo, createServer as createTcpServer, type Socket, connect as tcpConnect } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import { onTestFinished } from 'vitest'

/** Lets receivers on loopback be registered and reached. */
export const loopback = { allow: ['127.0.0.0/8'], allowHttp: true }

const fixture = (name: string) => readFileSync(new URL(`fixtures/${name}`, import.meta.url))

/** The root that signed the receivers' certificate, which is for hooks.test and 127.0.0.1. A test fixture, no secret. */
export const testRoot = fixture('ca.pem')

export interface Received {
  path: string
  headers: IncomingHttpHeaders
  body: string
}

export interface Receiver {
  url: string
  port: number
  received: Received[]
  /** `webhook-id`s in the order they came. */
  ids(): string[]
}

export type Answer = (received: Received, ...http: Parameters<RequestListener>) => void

/** Answers 200 unless told. Closed at the end of the test. */
export async function receiver(answer: Answer = (_, __, response) => response.end('ok')): Promise<Receiver> {
  const received: Received[] = []
  return listen(createServer(recording(received, answer)), 'http', received)
}

/** The same over TLS. */
export async function secureReceiver(answer: Answer = (_, __, response) => response.end('ok')): Promise<Receiver> {
  const received: Received[] = []
  const options = { key: fixture('server.key'), cert: fixture('server.pem') }
  return listen(createSecureServer(options, recording(received, answer)), 'https', received)
}

function recording(received: Received[], answer: Answer): RequestListener {
  return (request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const entry = { path: request.url ?? '', headers: request.headers, body: Buffer.concat(chunks).toString() }
      received.push(entry)
      answer(entry, request, response)
    })
  }
}

async function listen(server: Server, protocol: string, received: Received[]): Promise<Receiver> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })
  const { port } = server.address() as AddressInfo
  const ids = () => received.map(({ headers }) => String(headers['webhook-id']))
  return { url: `${protocol}://127.0.0.1:${port}/hooks`, port, received, ids }
}

/** An address where nobody listens. */
export async function closedPort(): Promise<string> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return `http://127.0.0.1:${port}/`
}

/** What a raw receiver does with a request: it says nothing by itself. Requests are counted from 1. */
export type RawAnswer = (socket: Socket, request: number) => void

export interface RawReceiver {
  port: number
  /** How many connections were made. */
  connections(): number
  /** How many of them are open. */
  open(): number
}

/** Speaks TCP and leaves the HTTP to the answer. It is called once per whole request. */
export async function rawReceiver(answer: RawAnswer): Promise<RawReceiver> {
  let requests = 0
  let connections = 0
  let closed = 0
  const port = await listenTcp((socket) => {
    connections += 1
    socket.on('close', () => {
      closed += 1
    })
    let pending = ''
    socket.on('data', (chunk) => {
      pending += chunk.toString('latin1')
      const head = pending.indexOf('\r\n\r\n')
      const length = Number(/content-length: (\d+)/i.exec(pending)?.[1] ?? 0)
      if (head < 0 || pending.length < head + 4 + length) return
      pending = pending.slice(head + 4 + length)
      requests += 1
      answer(socket, requests)
    })
  })
  return { port, connections: () => connections, open: () => connections - closed }
}

/** A proxy for CONNECT. `authorized` judges the `proxy-authorization` header; `statusFor` is what it answers those with. */
export async function connectProxy(
  authorized: (authorization: string | undefined) => boolean = () => true,
  statusFor: (authority: string) => number = () => 200,
  transport: 'plain' | 'secure' = 'plain',
) {
  const asked: string[] = []
  const onSocket = (socket: Socket) => {
    socket.once('data', (chunk) => {
      const [, authority = ''] = /^CONNECT (\S+) HTTP/.exec(chunk.toString()) ?? []
      const [, authorization] = /proxy-authorization: (.*)\r/i.exec(chunk.toString()) ?? []
      asked.push(authority)
      const status = authorized(authorization) ? statusFor(authority) : 407
      if (status !== 200) return socket.end(`HTTP/1.1 ${status} No\r\ncontent-length: 0\r\n\r\n`)
      const upstream = tcpConnect(Number(authority.split(':').pop()), '127.0.0.1', () => {
        socket.write('HTTP/1.1 200 Connection established\r\n\r\n')
        socket.pipe(upstream).pipe(socket)
      })
      upstream.on('error', () => socket.destroy())
      return socket.on('close', () => upstream.destroy())
    })
  }
  return { port: await listenTcp(onSocket, transport), asked }
}

async function listenTcp(onSocket: (socket: Socket) => void, transport = 'plain'): Promise<number> {
  const sockets = new Set<Socket>()
  const accept = (socket: Socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => {}) // the sender hangs up on most of them
    onSocket(socket)
  }
  const server =
    transport === 'plain'
      ? createTcpServer({ noDelay: true }, accept)
      : createTlsServer({ key: fixture('server.key'), cert: fixture('server.pem') }, accept)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy()
    await new Promise((resolve) => server.close(resolve))
  })
  return (server.address() as AddressInfo).port
}
