/**
 * The smallest honest use: an app that takes orders gets outgoing webhooks. What it did before is under "the app", what
 * was added is under "the webhooks", and the one line that was added to an existing route says so.
 *
 *   npx -y pnpm@12 build
 *   ADMIN_TOKEN=choose-one npx -y pnpm@12 --filter express-webhooks-only start
 */
import { createWebhooks, defineEventTypes } from '@org/webhooks'
import { webhooksRouter } from '@org/webhooks/express'
import { knexStorage, migrate } from '@org/webhooks/knex'
import express, { type Request } from 'express'
import createKnex from 'knex'
import { z } from 'zod'

// The app.
const knex = createKnex({ client: 'better-sqlite3', connection: { filename: ':memory:' }, useNullAsDefault: true })
await knex.schema.createTable('orders', (table) => {
  table.increments('id')
  table.string('item').notNullable()
})
const app = express()
app.use(express.json())

// The webhooks. `publish` below is typed by these schemas, and refuses data that does not fit them.
await migrate(knex)
const webhooks = createWebhooks({
  storage: knexStorage(knex),
  eventTypes: defineEventTypes({ 'order.created': z.object({ orderId: z.number(), item: z.string() }) }),
})
webhooks.startWorker()

// Endpoints, deliveries and dead letters over HTTP. Put your own sign-in in place of this token.
const admin = { tenantId: 'default', actor: { type: 'user' as const, id: 'admin' }, ability: { can: () => true } }
const token = process.env.ADMIN_TOKEN
const isAdmin = (req: Request) => token !== undefined && req.get('authorization') === `Bearer ${token}`
app.use('/webhooks', webhooksRouter(webhooks, { context: (req) => (isAdmin(req) ? admin : null) }))

// A route of the app.
app.post('/orders', async (req, res) => {
  const item = String(req.body.item)
  const order = await knex.transaction(async (tx) => {
    const [orderId = 0] = await tx('orders').insert({ item })
    // Added: sent if and only if the order commits.
    await webhooks.publish({ tenantId: 'default', type: 'order.created', data: { orderId, item } }, { tx })
    return { orderId, item }
  })
  res.status(201).json(order)
})

const server = app.listen(Number(process.env.PORT ?? 3000), '127.0.0.1', () => console.log(server.address()))
