import { createTable, dialectOf, type Migration } from '@org/core/knex'

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
  column.integer('last_status').nullable()
  column.id('last_error', 32).nullable()
  column.bigint('created_at')
  column.bigint('ended_at').nullable()
  table.index(['tenant_id', 'status', 'id'], named('set_aside'), {
    predicate: where("status in ('dead_letter', 'held')"),
  }) // dead letters
  table.index(['tenant_id', 'id'], named('tenant')) // list
  table.index(['endpoint_id', 'id'], named('endpoint')) // list of one endpoint; release, cancel, recover
  table.index(['message_id'], named('message')) // list of one message; cancel
  table.index(['endpoint_id', 'counted'], named('counted'), { predicate: where('counted is not null') }) // in flight
  table.index(['endpoint_id', 'order_key', 'position'], named('ordered'), {
    predicate: where("order_key is not null and status in ('pending', 'held')"),
  }) // who comes before
})

/**
 * The index of agenda and claim is over the pending rows. PostgreSQL does not look at a column that the predicate has
 * settled, so that `status` must not come first there; MySQL and MariaDB have no predicates, so that it must.
 *
 * A claim changes no indexed column. PostgreSQL then writes no index at all (heap-only tuples), if the page has room for
 * the row's next version, which it leaves when told to.
 */
export const deliveries: Migration = {
  ...table,
  async up(knex, prefix) {
    await table.up(knex, prefix)
    const name = `${prefix}deliveries`
    const dialect = dialectOf(knex)
    await knex.schema.alterTable(name, (builder) => {
      if (dialect === 'mysql') builder.index(['status', 'endpoint_id', 'due_at', 'id'], `${name}_due`)
      else {
        const predicate = knex.queryBuilder().whereRaw("status = 'pending'")
        builder.index(['endpoint_id', 'due_at', 'id'], `${name}_due`, { predicate })
      }
    })
    if (dialect === 'postgres') await knex.raw('alter table ?? set (fillfactor = 50)', [name])
  },
}
