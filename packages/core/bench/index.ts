import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createRuntime, type HttpModule, type Storage } from '@org/core'
import { expressRouter } from '@org/core/express'
import { applyMigrations, createTable, KnexTable, knexUnitOfWork, text } from '@org/core/knex'
import { testDatabases } from '@org/core/testing'
import express from 'express'
import { notesModule } from '../test/notes-module.js'
import type { Comparison } from './harness.js'

const silent = { debug() {}, info() {}, warn() {}, error() {} }
const anyone = { tenantId: 'acme', actor: { type: 'user' as const, id: 'anna' }, ability: { can: () => true } }

/** A routed request, with identity, right, query and response schema, against the same answer by hand. */
const routed: Comparison = {
  bench: 'core/express-route',
  subject: 'GET through the route table',
  reference: 'bare Express handler',
  floor: null,
  async open() {
    const module: HttpModule = notesModule(silent)
    const app = express()
    app.use('/module', expressRouter(module, { context: () => anyone }))
    app.get('/bare', (_, res) => void res.json({ data: [], next: null }))
    const server = createServer(app)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    const get = (path: string) => async () => (await fetch(`http://127.0.0.1:${port}${path}`)).text()
    return {
      subject: get('/module/notes'),
      reference: get('/bare'),
      async close() {
        server.closeAllConnections()
        server.close()
      },
    }
  },
}

interface Item {
  id: string
}

const steps = [createTable('0001-items', 'items', (column) => column.id('id').primary())]

/** One row written in a joined transaction, against the same insert in the same transaction. */
async function joined(): Promise<Comparison[]> {
  return (await testDatabases())
    .filter(({ missing }) => !missing)
    .map(({ name, open }) => ({
      bench: `core/joined-write-${name}`,
      subject: 'storage.run(…, tx)',
      reference: 'bare insert in the transaction',
      floor: null,
      async open() {
        const db = await open()
        await applyMigrations(db.knex, steps, 'demo_')
        const { id } = createRuntime()
        const storage: Storage<KnexTable<Item>> = knexUnitOfWork(db.knex, {
          prefix: 'demo_',
          migrateFrom: '@org/demo/knex',
          bind: (handle) => new KnexTable<Item>(handle, 'demo_items', { id: text }),
        })
        return {
          subject: () => db.knex.transaction((tx) => storage.run((items) => items.insert({ id: id('itm') }), tx)),
          reference: () => db.knex.transaction((tx) => tx('demo_items').insert({ id: id('itm') })),
          close: db.close,
        }
      },
    }))
}

export const comparisons: Comparison[] = [routed, ...(await joined())]
