/** What the page about growing shows; run by wake-ups.test.ts and bullmq.test.ts. */
import { createWebhooks } from '@org/webhooks'
import { bullmqDispatch } from '@org/webhooks/bullmq'
import { knexStorage } from '@org/webhooks/knex'
import type { Knex } from 'knex'

export function workerProcess(knex: Knex) {
  const webhooks = createWebhooks({ storage: knexStorage(knex) })
  const worker = webhooks.startWorker({ concurrency: 200 })

  process.once('SIGTERM', async () => {
    await worker.stop({ graceMs: 10_000 })
    await knex.destroy()
  })
  return { webhooks, worker }
}

export function listening(knex: Knex) {
  const webhooks = createWebhooks({ storage: knexStorage(knex, { notify: true }) })
  return webhooks
}

export function queued(knex: Knex, url: string) {
  const dispatch = bullmqDispatch({ connection: { url } })
  const webhooks = createWebhooks({ storage: knexStorage(knex), dispatch })
  return { webhooks, dispatch }
}

export async function ended({ dispatch }: Pick<ReturnType<typeof queued>, 'dispatch'>) {
  await dispatch.close() // in a process that publishes, after its server has closed
}
