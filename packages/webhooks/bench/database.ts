/** A database with our tables, for this process and for workers of ours. */
import type { TestDatabase } from '@org/core/testing'
import { createWebhooks, type Webhooks } from '@org/webhooks'
import { knexStorage, migrate } from '@org/webhooks/knex'
import type { Knex } from 'knex'

/** What a worker process has to be told. */
export interface Config {
  knex: Knex.Config
  /** The deadline of an exchange. */
  timeoutMs?: number
}

export interface BenchDatabase {
  name: TestDatabase['name']
  config: Config
  knex: Knex
  webhooks: Webhooks
  close(): Promise<void>
}

const logger = { debug() {}, info() {}, warn: console.error, error: console.error }

/** What ours is made with in every process. */
export function optionsFor({ timeoutMs }: Config) {
  const network = { allow: ['127.0.0.0/8'], allowHttp: true }
  return { logger, network: timeoutMs === undefined ? network : { ...network, timeoutMs } }
}

/** SQLite as a sensible host has it: WAL, and `synchronous = NORMAL`. The others are as the machine has them. */
export function tuned(config: Knex.Config): Knex.Config {
  if (config.client !== 'better-sqlite3') return { ...config, pool: { min: 0, max: 10 } }
  const afterCreate = (connection: { pragma(sql: string): void }, done: (error: Error | null) => void) => {
    connection.pragma('journal_mode = WAL')
    connection.pragma('synchronous = NORMAL')
    connection.pragma('busy_timeout = 1000')
    done(null)
  }
  return { ...config, pool: { min: 1, max: 1, afterCreate } }
}

export async function openDatabase({ name, open }: TestDatabase, timeoutMs?: number): Promise<BenchDatabase> {
  const { knex, config: reach, close } = await open()
  const config: Config = timeoutMs === undefined ? { knex: reach } : { knex: reach, timeoutMs }
  await migrate(knex)
  const webhooks = createWebhooks({ ...optionsFor(config), storage: knexStorage(knex) })
  return { name, config, knex, webhooks, close }
}
