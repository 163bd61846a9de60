/** A real server on loopback, asked over connections that stay open by a client that costs next to nothing. */
import { createServer, type RequestListener } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'

/** How many requests are under way at any moment, each on a connection of its own. */
const connections = 16
/** How many requests one measured call makes. */
const requestsPerCall = 160

export async function served(listener: RequestListener) {
  const server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const sockets: Socket[] = []
  const clients = await Promise.all(
    Array.from({ length: connections }, async () => {
      const socket = connect({ port, host: '127.0.0.1', noDelay: true })
      sockets.push(socket)
      await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject))
      return socket
    }),
  )
  return {
    unitsPerCall: requestsPerCall,
    /** Asks for a path so many times, over all connections at once; the first answer must be 200. */
    get(path: string) {
      const request = `GET ${path} HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\n\r\n`
      return () => Promise.all(clients.map((socket) => repeat(socket, request, requestsPerCall / connections)))
    },
    async close() {
      for (const socket of sockets) socket.destroy()
      server.closeAllConnections()
      server.close()
    },
  }
}

/** One request after another. All answers to one path are as long as the first, which is read; the others are counted. */
function repeat(socket: Socket, request: string, times: number): Promise<void> {
  return new Promise((resolve, reject) => {
    let length = 0
    let received = 0
    let left = times
    const onData = (chunk: Buffer) => {
      received += chunk.length
      if (length === 0) {
        const text = chunk.toString('latin1')
        const body = /content-length: (\d+)/i.exec(text)
        if (!text.startsWith('HTTP/1.1 200') || !body) return done(new Error(`not a plain 200: ${text}`))
        length = text.indexOf('\r\n\r\n') + 4 + Number(body[1])
      }
      if (received < length) return
      received -= length
      if (--left === 0) return done()
      socket.write(request)
    }
    const done = (error?: Error) => {
      socket.off('data', onData)
      if (error) reject(error)
      else resolve()
    }
    socket.on('data', onData)
    socket.write(request)
  })
}

export const silent = { debug() {}, info() {}, warn() {}, error() {} }
