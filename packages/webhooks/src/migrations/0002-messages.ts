import { createTable, dialectOf, type Migration } from '@org/core/knex'

const table = createTable('0002-messages', 'messages', (column, table, named) => {
  column.id('id', 64).primary() // also the order of retention
  column.id('tenant_id')
  column.id('type')
  column.text('body').nullable()
  column.json('channels').nullable()
  column.id('idempotency_key').nullable()
  column.id('ordering_key').nullable()
  column.id('coalesce_key').nullable()
  column.id('fingerprint', 64)
  column.flag('test')
  column.id('fan_out_after', 64).nullable()
  column.bigint('created_at')
  table.unique(['tenant_id', 'idempotency_key'], { indexName: named('idempotency') }) // publish once for each key
  table.index(['tenant_id', 'created_at', 'id'], named('tenant')) // list; replay since
})

/** What is still to be fanned out: each tenant's oldest, and whether a tenant has any. */
export const messages: Migration = {
  ...table,
  async up(knex, prefix) {
    await table.up(knex, prefix)
    const name = `${prefix}messages`
    const mysql = dialectOf(knex) === 'mysql'
    await knex.schema.alterTable(name, (builder) => {
      if (mysql) {
        builder.index(['fan_out_after', 'tenant_id'], `${name}_fan_out`)
        builder.index(['tenant_id', 'fan_out_after'], `${name}_fan_out_tenant`)
      } else {
        const predicate = knex.queryBuilder().whereRaw('fan_out_after is not null')
        builder.index(['tenant_id', 'id'], `${name}_fan_out`, { predicate })
      }
    })
  },
}
