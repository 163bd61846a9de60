import { createTable } from '@org/core/knex'

export const keys = createTable('0040-keys', 'keys', (column, table, named) => {
  column.id('id', 64).primary()
  column.id('tenant_id')
  column.text('name')
  column.id('start', 64)
  column.json('scopes')
  column.id('user_id').nullable()
  column.json('allowed_ips').nullable()
  column.json('rate_limit').nullable()
  column.bigint('expires_at').nullable()
  column.bigint('last_used_at').nullable()
  column.bigint('created_at')
  column.bigint('revoked_at').nullable()
  table.index(['tenant_id', 'id'], named('list')) // list
  table.index(['tenant_id', 'user_id', 'id'], named('user')) // list, by userId; lockOfUser
})
