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
    if (dialectOf(knex) === 'mysql') {
      // MySQL and MariaDB have no predicates: what has been fanned out is null here, and stands in one place of the index.
      const fanning = 'smallint generated always as (case when fan_out_after is not null then 1 end) stored'
      await knex.raw(`alter table ?? add fanning ${fanning}`, [name])
      await knex.schema.alterTable(name, (builder) => builder.index(['fanning', 'tenant_id', 'id'], `${name}_fan_out`))
      return
    }
    const predicate = knex.queryBuilder().whereRaw('fan_out_after is not null')
    await knex.schema.alterTable(name, (builder) => {
      builder.index(['tenant_id', 'id'], `${name}_fan_out`, { predicate })
    })
  },
}
