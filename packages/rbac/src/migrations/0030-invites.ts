import { createTable } from '@org/core/knex'

export const invites = createTable('0030-invites', 'invites', (column, table, named) => {
  column.id('id', 64).primary()
  column.id('tenant_id')
  column.id('kind', 16)
  column.id('state', 16)
  column.text('email').nullable()
  column.id('address', 512).nullable()
  column.json('domains')
  column.integer('max_uses').nullable()
  column.integer('uses')
  column.json('roles')
  column.id('inviter_type', 16)
  column.id('inviter_id')
  column.id('token_hash', 64)
  column.bigint('sent_at').nullable()
  column.id('send_error', 64).nullable()
  column.bigint('expires_at')
  column.bigint('created_at')
  table.unique(['token_hash'], { indexName: named('token') }) // findByHash
  table.index(['tenant_id', 'id'], named('list')) // list
  table.index(['tenant_id', 'state', 'id'], named('state')) // list, by status; pendingWithRoles
  table.index(['tenant_id', 'address'], named('address')) // pendingTo
})
