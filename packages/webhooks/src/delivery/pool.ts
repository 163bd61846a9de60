/**
 * Connections that are kept alive, one exchange at a time on each. An origin is known only while it has a connection
 * or somebody waits for one, so that thousands of them leave nothing behind.
 */
import { Client } from 'undici'
import type { Dial } from './connect.js'
import { maxHeaderBytes } from './response.js'

/** How many connections may idle, of all origins together. The one that has idled longest makes room. */
const maxIdle = 512

/** For how long one may idle unless the receiver asks for less, in milliseconds. Node.js servers close after 5 s. */
const idleMs = 4_000

/** For how long one is used at the most, in milliseconds, so that a name which moves is looked up again. */
const maxAgeMs = 5 * 60_000

/** Somebody who needs a connection. Called once, now or later. */
export interface Waiter {
  useConnection(connection: Connection): void
}

/** One connection. Whoever was given it hands it back, or drops it. */
export interface Connection {
  readonly client: Client
  readonly origin: Origin
  readonly openedAt: number
  /** The address that it goes to, once it does. */
  address: string | null
  /** Whether it has been handed back before. */
  used: boolean
  readonly dialing: AbortController
}

interface Origin {
  readonly name: string
  readonly all: Set<Connection>
  readonly free: Connection[]
  readonly waiters: Set<Waiter>
}

export interface Pool {
  /** `origin` as the URL has it: `https://example.com:8443`. */
  acquire(origin: string, waiter: Waiter): void
  /** The waiter wants no connection any more. */
  cancel(origin: string, waiter: Waiter): void
  /** Takes back a connection that is between two exchanges. */
  release(connection: Connection, now: number): void
  /** Ends a connection, also one that is still being made. */
  drop(connection: Connection, why?: Error): void
  /** Ends all of them. */
  close(): Promise<void>
  /** How many origins are known, and how many connections they have. */
  readonly size: { origins: number; connections: number }
}

export interface PoolOptions {
  dial: Dial
  maxPerOrigin: number
  now(): number
}

/** Opens nothing by itself. */
export function createPool({ dial, maxPerOrigin, now }: PoolOptions): Pool {
  const origins = new Map<string, Origin>()
  const idle = new Set<Connection>()

  function acquire(name: string, waiter: Waiter): void {
    let origin = origins.get(name)
    if (!origin) {
      origin = { name, all: new Set(), free: [], waiters: new Set() }
      origins.set(name, origin)
    }
    const connection = take(origin)
    if (connection) waiter.useConnection(connection)
    else origin.waiters.add(waiter)
  }

  /** The one that was used last is the least likely to have been closed by the receiver. */
  function take(origin: Origin): Connection | null {
    const kept = origin.free.pop()
    if (kept) idle.delete(kept)
    return kept ?? (origin.all.size < maxPerOrigin ? open(origin) : null)
  }

  function open(origin: Origin): Connection {
    const dialing = new AbortController()
    const client = new Client(origin.name, {
      headersTimeout: 0, // an exchange has one deadline, over every phase
      bodyTimeout: 0,
      maxHeaderSize: maxHeaderBytes,
      keepAliveTimeout: idleMs,
      keepAliveMaxTimeout: 30_000,
      connect: (target, callback) => {
        const reached = (address: string | null) => {
          connection.address = address
        }
        dial(target, dialing.signal, reached).then(
          (socket) => callback(null, socket),
          (error: Error) => callback(error, null),
        )
      },
    })
    const connection: Connection = { client, origin, openedAt: now(), address: null, used: false, dialing }
    // What was sent has been told by now. What has not been sent is told that it may go elsewhere.
    client.on('disconnect', (_, __, error) => drop(connection, error))
    client.on('connectionError', (_, __, error) => drop(connection, error))
    origin.all.add(connection)
    return connection
  }

  function release(connection: Connection, at: number): void {
    const { origin } = connection
    if (!origin.all.has(connection)) return
    if (at - connection.openedAt > maxAgeMs) {
      drop(connection)
      return
    }
    connection.used = true
    origin.free.push(connection)
    idle.add(connection)
    if (origin.waiters.size > 0) queueMicrotask(() => serve(origin))
    if (idle.size <= maxIdle) return
    const [oldest] = idle
    if (oldest) drop(oldest)
  }

  function drop(connection: Connection, why?: Error): void {
    const { origin, client, dialing } = connection
    if (!origin.all.delete(connection)) return
    if (idle.delete(connection)) origin.free.splice(origin.free.indexOf(connection), 1)
    dialing.abort(why)
    void client.destroy(why ?? null)
    if (origin.waiters.size > 0) queueMicrotask(() => serve(origin))
    forget(origin)
  }

  /** Later than what made room, as undici is still busy with that. */
  function serve(origin: Origin): void {
    for (const waiter of origin.waiters) {
      const connection = take(origin)
      if (!connection) return
      origin.waiters.delete(waiter)
      waiter.useConnection(connection)
    }
  }

  function forget(origin: Origin): void {
    if (origin.all.size === 0 && origin.waiters.size === 0) origins.delete(origin.name)
  }

  return {
    acquire,
    cancel(name, waiter) {
      const origin = origins.get(name)
      if (origin?.waiters.delete(waiter)) forget(origin)
    },
    release,
    drop,
    async close() {
      const all = [...origins.values()].flatMap((origin) => [...origin.all])
      for (const connection of all) drop(connection)
      await Promise.all(all.map(({ client }) => client.destroy()))
    },
    get size() {
      let connections = 0
      for (const { all } of origins.values()) connections += all.size
      return { origins: origins.size, connections }
    },
  }
}
