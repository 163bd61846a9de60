import { createTable } from '@org/core/knex'

/** One row for each tenant with a chain; the sealer walks through all of them. */
export const auditHeads = createTable('0012-audit-heads', 'audit_heads', (column) => {
  column.id('tenant_id').primary()
  column.bigint('seq')
  column.id('hash', 64)
  column.bigint('checkpoint_seq')
  column.id('checkpoint_hash', 64).nullable()
  column.bigint('checkpoint_time')
  column.bigint('streamed_seq')
  column.bigint('pruned_seq')
})
