/** A worker of ours, as a host would run it: the built package on the host's database. */
import { createWebhooks, type Webhooks, type Worker, type WorkerOptions } from '@org/webhooks'
import { knexStorage } from '@org/webhooks/knex'
import knex, { type Knex } from 'knex'
import { answer } from './child.js'
import { type Config, optionsFor, tuned } from './database.js'
import { now, pause } from './figures.js'

let database: Knex
let webhooks: Webhooks
let worker: Worker | null = null

const methods = {
  async open(config: Config): Promise<void> {
    database = knex(tuned(config.knex))
    webhooks = createWebhooks({ ...optionsFor(config), storage: knexStorage(database) })
  },

  start(options: WorkerOptions): void {
    worker = webhooks.startWorker(options)
  },

  /** What is still being sent after `graceMs` is given back. */
  async stop(graceMs?: number): Promise<void> {
    await worker?.stop(graceMs === undefined ? {} : { graceMs })
    worker = null
  },

  /** Publishes an event that says when. */
  async publish(tenantId: string): Promise<void> {
    await webhooks.publish({ tenantId, type: 'request.completed', data: { publishedAt: now() } })
  },

  /** Publishes so many per second, evenly, whatever becomes of them. */
  async trickle(tenantId: string, perSecond: number, seconds: number): Promise<void> {
    const begun = now()
    const published: Promise<void>[] = []
    for (let n = 0; n < perSecond * seconds; n++) {
      await pause(begun + (n * 1000) / perSecond - now())
      published.push(methods.publish(tenantId))
    }
    await Promise.all(published)
  },

  async close(): Promise<void> {
    await database.destroy()
  },
}
export type OurWorker = typeof methods

answer(methods)
