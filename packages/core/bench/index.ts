import { createRuntime, type Storage } from '@org/core'
import { expressRouter } from '@org/core/express'
import { applyMigrations, createTable, KnexTable, knexUnitOfWork, text } from '@org/core/knex'
import express from 'express'
import { notesModule } from '../test/notes-module.js'
import { inTransactions } from './databases.js'
import type { Comparison } from './harness.js'
import { served, silent } from './http.js'

const anyone = { tenantId: 'acme', actor: { type: 'user' as const, id: 'anna' }, ability: { can: () => true } }

/** A routed request, with identity, right, query and response schema, against the same answer by hand. */
const routed: Comparison = {
  bench: 'core/express-route',
  subject: 'GET through the route table',
  reference: 'bare Express handler',
  floor: null,
  async open() {
    const app = express()
    app.use('/module', expressRouter(notesModule(silent), { context: () => anyone }))
    app.get('/bare', (_, res) => void res.json({ data: [], next: null }))
    const { get, ...rest } = await served(app)
    return { subject: get('/module/notes'), reference: get('/bare'), ...rest }
  },
}

interface Item {
  id: string
}

const steps = [createTable('0001-items', 'items', (column) => column.id('id').primary())]

const joined = await inTransactions(
  { bench: 'core/joined-write', subject: 'storage.run(…, tx)', reference: 'bare insert in the transaction' },
  async ({ knex }) => {
    await applyMigrations(knex, steps, 'demo_')
    const { id } = createRuntime()
    const storage: Storage<KnexTable<Item>> = knexUnitOfWork(knex, {
      prefix: 'demo_',
      migrateFrom: '@org/demo/knex',
      bind: (handle) => new KnexTable<Item>(handle, 'demo_items', { id: text }),
    })
    return {
      subject: (tx) => storage.run((items) => items.insert({ id: id('itm') }), tx),
      reference: (tx) => tx('demo_items').insert({ id: id('itm') }),
    }
  },
)

export const comparisons: Comparison[] = [routed, ...joined]
