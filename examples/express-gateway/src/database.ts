/** One SQLite file holds the host's own tables and those of the modules, so that one transaction can span them all. */
import { migrate as migrateBilling } from '@org/billing/knex'
import { migrate as migrateRbac } from '@org/rbac/knex'
import { migrate as migrateWebhooks } from '@org/webhooks/knex'
import createKnex, { type Knex } from 'knex'

/** `:memory:` or a file name. */
export async function openDatabase(filename: string): Promise<Knex> {
  const knex = createKnex({
    client: 'better-sqlite3',
    connection: { filename },
    useNullAsDefault: true,
    pool: {
      afterCreate(connection: { pragma(sql: string): void }, done: (error: Error | null) => void) {
        connection.pragma('journal_mode = WAL')
        done(null)
      },
    },
  })
  await createOwnTables(knex)
  await migrateRbac(knex)
  await migrateWebhooks(knex)
  await migrateBilling(knex)
  return knex
}

async function createOwnTables(knex: Knex): Promise<void> {
  if (await knex.schema.hasTable('users')) return
  await knex.schema.createTable('users', (table) => {
    table.string('id').primary()
    table.string('tenant_id').notNullable()
    table.string('email').notNullable().unique()
    table.string('password_salt').notNullable()
    table.string('password_hash').notNullable()
  })
  await knex.schema.createTable('sessions', (table) => {
    table.string('token_hash').primary()
    table.string('user_id').notNullable().references('users.id')
    table.bigInteger('expires_at').notNullable()
  })
  await knex.schema.createTable('projects', (table) => {
    table.string('id').primary()
    table.string('tenant_id').notNullable()
    table.string('name').notNullable()
  })
  await knex.schema.createTable('project_keys', (table) => {
    table.string('key_id').primary()
    table.string('project_id').notNullable().references('projects.id')
    table.string('name').notNullable()
    table.unique(['project_id', 'name'])
  })
}
