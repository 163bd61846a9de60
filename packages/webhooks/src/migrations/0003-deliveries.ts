import { createTable, dialectOf, type Migration } from '@org/core/knex'
import type { Knex } from 'knex'

const table = createTable('0003-deliveries', 'deliveries', (column, table, named, where) => {
  column.id('id', 64).primary()
  column.id('tenant_id')
  column.id('message_id', 64)
  column.id('endpoint_id', 64)
  column.id('event_type')
  column.id('status', 16)
  column.integer('attempts')
  column.integer('step')
  column.bigint('due_at')
  column.id('lease_token', 64).nullable()
  column.bigint('lease_until').nullable()
  column.integer('lost')
  column.flag('counted').nullable()
  column.id('order_key').nullable()
  column.bigint('position')
  column.id('coalesce_key').nullable()
  column.integer('last_status').nullable()
  column.id('last_error', 32).nullable()
  column.bigint('created_at')
  column.bigint('ended_at').nullable()
  table.index(['tenant_id', 'status', 'id'], named('set_aside'), {
    predicate: where("status in ('dead_letter', 'held')"),
  }) // dead letters, and what is held, of a tenant
  table.index(['tenant_id', 'id'], named('tenant')) // list
  table.index(['endpoint_id', 'id'], named('endpoint')) // list of one endpoint; release, cancel, recover
  table.index(['message_id'], named('message')) // list of one message; cancel
  table.index(['endpoint_id', 'counted'], named('counted'), { predicate: where('counted is not null') }) // in flight
})

/**
 * The index of agenda and claim is over the pending rows. PostgreSQL does not look at a column that the predicate has
 * settled, so that `status` must not come first there; MySQL and MariaDB have no predicates, so that it must. The same
 * goes for the index of what a message takes the place of, which must not grow with what was delivered.
 *
 * A claim changes no indexed column. PostgreSQL then writes no index at all (heap-only tuples), if the page has room for
 * the row's next version, which it leaves when told to.
 *
 * What an endpoint has set aside is listed, counted and released by an index of its own; on MySQL and MariaDB that over
 * due deliveries, which has all statuses there, serves.
 */
export const deliveries: Migration = {
  ...table,
  async up(knex, prefix) {
    await table.up(knex, prefix)
    const name = `${prefix}deliveries`
    const dialect = dialectOf(knex)
    if (dialect === 'mysql') await generatedOnMysql(knex, name)
    await knex.schema.alterTable(name, (builder) => {
      const index = (columns: string[], suffix: string, condition: string) =>
        builder.index(columns, `${name}_${suffix}`, { predicate: knex.queryBuilder().whereRaw(condition) })
      if (dialect === 'mysql') {
        builder.index(['status', 'endpoint_id', 'due_at', 'id'], `${name}_due`)
        builder.index(['lane', 'order_key', 'place'], `${name}_ordered`)
        builder.index(['tenant_id', 'coalescing'], `${name}_coalesce`)
      } else {
        const beside = "status = 'pending' and order_key is null and position > 0"
        index(['endpoint_id', 'due_at', 'id'], 'due', "status = 'pending'")
        index(['endpoint_id', 'order_key', 'position', 'id'], 'ordered', inOrder) // who comes before
        index(['endpoint_id', 'due_at', 'id'], 'beside', beside) // beside the orders of other keys
        index(['tenant_id', 'coalesce_key'], 'coalesce', coalesced) // what a message takes the place of
        index(['endpoint_id', 'status', 'id'], 'endpoint_set_aside', "status in ('dead_letter', 'held')")
      }
    })
    if (dialect === 'postgres') await knex.raw('alter table ?? set (fillfactor = 50)', [name])
  },
}

const coalesced = "coalesce_key is not null and status in ('pending', 'held')"
const inOrder = "order_key is not null and status in ('pending', 'held')"

/**
 * Without predicates, columns that are null for most rows, and so never change, keep the indexes of orders and of coalescing
 * as small. What has no key stands in that of the orders by when it is due.
 */
async function generatedOnMysql(knex: Knex, name: string): Promise<void> {
  const lane = `case when status in ('pending', 'held') and (order_key is not null or position > 0) then endpoint_id end`
  const place = 'case when order_key is not null then position when position > 0 then due_at end'
  await knex.raw(
    `alter table ?? add lane varchar(64) collate utf8mb4_bin generated always as (${lane}) stored,
     add place bigint generated always as (${place}) stored,
     add coalescing varchar(128) collate utf8mb4_bin generated always as (case when ${coalesced} then coalesce_key end) stored`,
    [name],
  )
}
