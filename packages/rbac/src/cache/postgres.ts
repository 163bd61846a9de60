/** PostgreSQL's LISTEN and NOTIFY: messages leave with the commit of the change, and only then. */
import { coreErrors } from '@org/core'
import { dialectOf } from '@org/core/knex'
import type { Knex } from 'knex'
import type { CacheBus } from './bus.js'

export interface PostgresBusOptions {
  /** Where messages are sent and heard; `rbac_changes` unless told. */
  channel?: string
}

/** What is used of a connection of `pg`. */
interface PgConnection {
  query(sql: string): Promise<unknown>
  on(event: 'notification', hear: (message: { channel: string; payload?: string }) => void): unknown
  on(event: 'error' | 'end', lost: (error?: unknown) => void): unknown
}

/** Knex opens and closes its pool's connections by these. */
interface PgClient {
  acquireRawConnection(): Promise<PgConnection>
  destroyRawConnection(connection: PgConnection): Promise<void>
}

/**
 * For `createRbac({ cache: { bus: postgresBus(knex) } })`, with the instance that the storage was made with. Listening
 * takes one connection beside the pool. A pooler that hands connections out by transaction, such as PgBouncer, passes no
 * notifications on: without them a change counts within `maxStaleMs`, as without a bus.
 *
 * @throws ProblemError `setup_error` for another database, or a channel that cannot be one.
 */
export function postgresBus(knex: Knex, { channel = 'rbac_changes' }: PostgresBusOptions = {}): CacheBus {
  if (dialectOf(knex) !== 'postgres') throw coreErrors.setup_error({ detail: 'postgresBus(knex) wants PostgreSQL.' })
  if (!/^[a-z_][a-z0-9_]{0,62}$/.test(channel)) {
    throw coreErrors.setup_error({ detail: 'postgresBus: a channel is up to 63 of a-z, 0-9 and _.' })
  }
  const client = knex.client as PgClient
  return {
    async announce(change, tx) {
      if (!('client' in tx) || dialectOf(tx as Knex) !== 'postgres') {
        throw coreErrors.setup_error({ detail: 'postgresBus wants storage on PostgreSQL: knexStorage(knex).' })
      }
      await (tx as Knex).raw('select pg_notify(?, ?)', [channel, JSON.stringify(change)])
    },

    async listen(listener) {
      const connection = await client.acquireRawConnection()
      let isOurs = true
      const lost = (error: unknown) => {
        if (isOurs) listener.lost(error ?? new Error('The connection that listened has ended'))
        isOurs = false
      }
      connection.on('error', lost)
      connection.on('end', lost)
      connection.on('notification', (message) => {
        if (message.channel === channel) listener.heard(message.payload ?? '')
      })
      const end = async () => {
        isOurs = false
        await client.destroyRawConnection(connection).catch(() => {})
      }
      try {
        await connection.query(`listen ${channel}`)
      } catch (error) {
        await end()
        throw error
      }
      return end
    },
  }
}
