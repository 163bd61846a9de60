/** The real Redis that tests run on, and a wire to it that can be cut. */
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { Redis } from 'ioredis'
import { onTestFinished } from 'vitest'

const url = process.env.TEST_REDIS_URL ?? 'redis://127.0.0.1:6379'
const { hostname, port, pathname } = new URL(url)

/** Why Redis cannot be used here; null if it can. With `REQUIRE_SERVICES=1` it must be there. */
export async function whyRedisIsMissing(): Promise<string | null> {
  const client = new Redis(url, { lazyConnect: true, maxRetriesPerRequest: 0, retryStrategy: () => null })
  client.on('error', () => {})
  try {
    await client.connect()
    return null
  } catch (error) {
    const missing = `Redis cannot be reached: ${error instanceof Error ? error.message : String(error)}`
    if (process.env.REQUIRE_SERVICES === '1') throw new Error(`REQUIRE_SERVICES=1, but ${missing}`)
    console.warn(`\nSKIPPED every test of BullMQ: ${missing}\n`)
    return missing
  } finally {
    client.disconnect()
  }
}

export interface Wire {
  /** For `bullmqDispatch`. */
  connection: { host: string; port: number; db: number }
  /** How many connections are open. */
  open(): number
  /** Ends all, and takes no more. */
  cut(): Promise<void>
  mend(): Promise<void>
}

/** Closed at the end of the test. */
export async function wireToRedis(): Promise<Wire> {
  const sockets = new Set<Socket>()
  let own = 0
  const make = () =>
    createServer((socket) => {
      const upstream = connect(Number(port || 6379), hostname)
      for (const [one, other] of [
        [socket, upstream],
        [upstream, socket],
      ] as const) {
        sockets.add(one)
        one.on('error', () => {})
        one.on('close', () => {
          sockets.delete(one)
          other.destroy()
        })
        one.pipe(other)
      }
    })
  let server = make()
  const mend = async () => {
    server = make()
    await new Promise<void>((resolve) => server.listen(own, '127.0.0.1', resolve))
    own = (server.address() as AddressInfo).port
  }
  const cut = async () => {
    const closed = new Promise((resolve) => server.close(resolve))
    for (const socket of sockets) socket.destroy()
    await closed
  }
  await mend()
  onTestFinished(cut)
  const db = Number(pathname.slice(1) || 0)
  return { connection: { host: '127.0.0.1', port: own, db }, open: () => Math.ceil(sockets.size / 2), cut, mend }
}

/** Removes every key that begins so, but for those to be kept, and answers how many there were. */
export async function wipe(prefix: string, isKept: (key: string) => boolean = () => false): Promise<number> {
  const client = new Redis(url)
  let count = 0
  for await (const found of client.scanStream({ match: `${prefix}*`, count: 500 })) {
    const keys = (found as string[]).filter((key) => !isKept(key))
    if (keys.length > 0) count += await client.del(...keys)
  }
  await client.quit()
  return count
}
