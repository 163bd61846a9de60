/** PostgreSQL's LISTEN and NOTIFY over the host's own Knex instance. */
import type { Knex } from 'knex'
import { coreErrors } from '../errors.js'
import type { MessageSource } from '../listening.js'
import type { Tx } from '../storage.js'
import { dialectOf } from './dialect.js'

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

export interface PostgresChannel extends MessageSource {
  /**
   * Says it with the transaction: it is heard from the commit on, and not at all after a rollback. Less than 8,000 bytes.
   *
   * @throws ProblemError `setup_error` if the transaction is not one of PostgreSQL.
   */
  announce(message: string, tx: Tx): Promise<void>
}

/**
 * Listening takes one connection beside the pool. A pooler that hands connections out by transaction, such as PgBouncer,
 * passes no notifications on. `option` names to the host what it asked for.
 *
 * @throws ProblemError `setup_error` for another database, or a channel that cannot be one.
 */
export function postgresChannel(knex: Knex, channel: string, option: string): PostgresChannel {
  const refuse = (detail: string) => coreErrors.setup_error({ detail: `${option} ${detail}` })
  if (dialectOf(knex) !== 'postgres') throw refuse('wants PostgreSQL.')
  if (!/^[a-z_][a-z0-9_]{0,62}$/.test(channel)) throw refuse('wants a channel of up to 63 of a-z, 0-9 and _.')
  const client = knex.client as PgClient
  return {
    async announce(message, tx) {
      if (!('client' in tx) || dialectOf(tx as Knex) !== 'postgres') {
        throw refuse('wants storage on PostgreSQL: knexStorage(knex).')
      }
      await (tx as Knex).raw('select pg_notify(?, ?)', [channel, message])
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
