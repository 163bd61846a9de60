/** A real server on loopback, asked again and again. */
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'

export async function served(listener: RequestListener) {
  const server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    get: (path: string) => async () => (await fetch(`http://127.0.0.1:${port}${path}`)).text(),
    async close() {
      server.closeAllConnections()
      server.close()
    },
  }
}

export const silent = { debug() {}, info() {}, warn() {}, error() {} }
