/** A child process of processes.test.ts: a worker that signs its requests with its name, until SIGTERM. */
import { consoleLogger } from '@org/core'
import { createWebhooks } from '@org/webhooks'
import { knexStorage } from '@org/webhooks/knex'
import createKnex, { type Knex } from 'knex'

const { name, config } = JSON.parse(process.argv[2] ?? '') as { name: string; config: Knex.Config }

const isSqlite = config.client === 'better-sqlite3'
const knex = createKnex({
  ...config,
  pool: {
    min: 0,
    max: isSqlite ? 1 : 4,
    ...(isSqlite && {
      afterCreate(connection: { pragma(sql: string): void }, done: (error: Error | null) => void) {
        connection.pragma('busy_timeout = 10000')
        done(null)
      },
    }),
  },
})

const worker = createWebhooks({
  storage: knexStorage(knex),
  logger: consoleLogger,
  network: { allow: ['127.0.0.1'], allowHttp: true },
  headers: () => ({ 'x-worker': name }),
}).startWorker({ pollMs: 100 })

process.on('SIGTERM', async () => {
  await worker.stop()
  await knex.destroy()
})
process.send?.('started')
