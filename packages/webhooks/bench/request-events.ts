/** What it costs a host's route that its requests are told of, with a bare one in the same server to compare with. */
import type { RequestListener } from 'node:http'
import Router from '@koa/router'
import { testDatabases } from '@org/core/testing'
import { createWebhooks } from '@org/webhooks'
import { requestEvents as onExpress } from '@org/webhooks/express'
import { knexStorage, migrate } from '@org/webhooks/knex'
import { requestEvents as onKoa } from '@org/webhooks/koa'
import express from 'express'
import Koa from 'koa'
import type { Comparison } from '../../core/bench/harness.js'
import { served, silent } from '../../core/bench/http.js'

type Publisher = Parameters<typeof onExpress>[0]

interface Told {
  listener: RequestListener
  flush(): Promise<void>
}

const body = { ok: true }

function expressApp(webhooks: Publisher, sampleRate: number): Told {
  const told = onExpress(webhooks, { tenant: () => 'acme', sampleRate, logger: silent })
  const app = express()
  app.get('/bare', (_, res) => void res.json(body))
  app.get('/told', told, (_, res) => void res.json(body))
  return { listener: app, flush: told.flush }
}

function koaApp(webhooks: Publisher, sampleRate: number): Told {
  const told = onKoa(webhooks, { tenant: () => 'acme', sampleRate, logger: silent })
  const answer = (context: Koa.Context) => {
    context.body = body
  }
  const router = new Router()
  router.get('/bare', answer)
  router.get('/told', told, answer)
  const app = new Koa()
  app.use(router.routes())
  return { listener: app.callback(), flush: told.flush }
}

const frameworks = [
  ['express', expressApp],
  ['koa', koaApp],
] as const

const shares = [
  [0, 'none of them told'],
  [0.1, 'one in ten told, on SQLite'],
  [1, 'all of them told, on SQLite'],
] as const

/** On SQLite, which writes in the process that answers: what is told has nowhere to hide. */
async function withStorage() {
  const sqlite = (await testDatabases()).find(({ name }) => name === 'sqlite')
  if (!sqlite) throw new Error('SQLite is always there')
  const { knex, close } = await sqlite.open()
  await migrate(knex)
  const webhooks = createWebhooks({ logger: silent, storage: knexStorage(knex) })
  await webhooks.endpoints.create({ tenantId: 'acme' }, { url: 'https://hooks.example.com/' })
  return { webhooks, close }
}

export const requestTelling: Comparison[] = frameworks.flatMap(([name, appOf]) =>
  shares.map(([sampleRate, what]) => ({
    bench: `webhooks/request-events-${name}-${sampleRate}`,
    subject: `GET behind requestEvents, ${what}`,
    reference: 'bare route',
    floor: null,
    async open() {
      const { webhooks, close: closeStorage } = await withStorage()
      const { listener, flush } = appOf(webhooks, sampleRate)
      const { get, unitsPerCall, close: closeServer } = await served(listener)
      return {
        subject: get('/told'),
        reference: get('/bare'),
        unitsPerCall,
        async close() {
          await closeServer()
          await flush()
          await closeStorage()
        },
      }
    },
  })),
)
