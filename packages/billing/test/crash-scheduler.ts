/** The child process of the crash test: one call of `runDueWork` on the database that it is told of, until it is killed. */
import { createBilling, localProvider } from '@org/billing'
import { knexStorage } from '@org/billing/knex'
import createKnex, { type Knex } from 'knex'
import { catalog } from './kit.js'

const config = JSON.parse(process.argv[2] ?? '') as Knex.Config
const now = Number(process.argv[3])
const inProcess = process.argv[4] === 'local'

const single = config.client === 'better-sqlite3'
const knex = createKnex({
  ...config,
  pool: {
    min: 0,
    max: single ? 1 : 4,
    ...(single && {
      afterCreate(connection: { pragma(sql: string): void }, done: (error: Error | null) => void) {
        connection.pragma('busy_timeout = 10000')
        done(null)
      },
    }),
  },
})

const provider = { ...localProvider(), inProcess }
await createBilling({ catalog, storage: knexStorage(knex), provider, clock: { now: () => now } }).runDueWork()
await knex.destroy()
