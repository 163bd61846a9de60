import { createTable } from '@org/core/knex'

export const auditCheckpoints = createTable(
  '0013-audit-checkpoints',
  'audit_checkpoints',
  (column, table, named, where) => {
    column.id('tenant_id')
    column.bigint('from_seq')
    column.bigint('to_seq')
    column.bigint('count')
    column.id('root', 64)
    column.id('head_hash', 64)
    column.id('previous_hash', 64).nullable()
    column.bigint('time')
    column.id('hash', 64)
    column.id('key_id', 16).nullable()
    column.text('signature').nullable()
    column.flag('anchored')
    table.primary(['tenant_id', 'to_seq'], named('pkey')) // checkpoints
    table.index(['anchored', 'tenant_id', 'to_seq'], named('unanchored'), { predicate: where('anchored = 0') }) // unanchored
  },
)
