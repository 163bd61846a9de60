/** The child process of the crash test: a worker on the database that it is told of, until it is killed. */
import { consoleLogger } from '@org/core'
import { createWebhooks } from '@org/webhooks'
import { knexStorage } from '@org/webhooks/knex'
import createKnex, { type Knex } from 'knex'

const config = JSON.parse(process.argv[2] ?? '') as Knex.Config
const timeoutMs = Number(process.argv[3])

const knex = createKnex({
  ...config,
  pool: {
    min: 0,
    max: config.client === 'better-sqlite3' ? 1 : 4,
    ...(config.client === 'better-sqlite3' && {
      afterCreate(connection: { pragma(sql: string): void }, done: (error: Error | null) => void) {
        connection.pragma('busy_timeout = 10000')
        done(null)
      },
    }),
  },
})

createWebhooks({
  storage: knexStorage(knex),
  // Fast forward past the first worker's leases: what it held is due as soon as this process looks.
  clock: { now: () => Date.now() + Number(process.argv[4] ?? 0) },
  logger: consoleLogger,
  network: { allow: ['127.0.0.1'], allowHttp: true, timeoutMs },
}).startWorker({ pollMs: 50 })
