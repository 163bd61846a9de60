import { createTable } from '@org/core/knex'

export const keySecrets = createTable('0041-key-secrets', 'key_secrets', (column, table, named) => {
  column.id('hash', 64).primary() // bySecret
  column.id('key_id', 64)
  column.bigint('expires_at').nullable()
  table.index(['key_id'], named('key')) // secretsOf, setSecrets
})
