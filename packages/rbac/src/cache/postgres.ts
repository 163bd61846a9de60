/** PostgreSQL's LISTEN and NOTIFY: messages leave with the commit of the change, and only then. */
import { postgresChannel } from '@org/core/knex'
import type { Knex } from 'knex'
import type { CacheBus } from './bus.js'

export interface PostgresBusOptions {
  /** Where messages are sent and heard; `rbac_changes` unless told. */
  channel?: string
}

/**
 * For `createRbac({ cache: { bus: postgresBus(knex) } })`, with the instance that the storage was made with. Listening
 * takes one connection beside the pool. A pooler that hands connections out by transaction, such as PgBouncer, passes no
 * notifications on: without them a change counts within `maxStaleMs`, as without a bus.
 *
 * @throws ProblemError `setup_error` for another database, or a channel that cannot be one.
 */
export function postgresBus(knex: Knex, { channel = 'rbac_changes' }: PostgresBusOptions = {}): CacheBus {
  const { announce, listen } = postgresChannel(knex, channel, 'postgresBus(knex)')
  return { announce: (change, tx) => announce(JSON.stringify(change), tx), listen }
}
