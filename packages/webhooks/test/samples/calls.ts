/** What the guide calls, piece by piece; run by docs.test.ts. */
import {
  createWebhooks,
  defaultEventTypes,
  defineEventTypes,
  type EventSink,
  memoryStorage,
  type Webhooks,
  type WebhooksStorage,
  webhooksEvents,
} from '@org/webhooks'
import { knexStorage } from '@org/webhooks/knex'
import type { Knex } from 'knex'
import { z } from 'zod'

export async function register(webhooks: Webhooks) {
  const endpoint = await webhooks.endpoints.create(
    { tenantId: 'acme' },
    { url: 'https://hooks.example.com/in', eventTypes: ['key.*', 'quota.exceeded'] },
  )
  return endpoint.secret // whsec_…: show it now, it is never shown again
}

export async function typed(storage: WebhooksStorage) {
  const eventTypes = defineEventTypes({
    ...defaultEventTypes,
    'order.paid': z
      .object({ orderId: z.string(), total: z.number() })
      .meta({ description: 'An order was paid.', examples: [{ orderId: 'o_1', total: 4200 }] }),
  })
  const webhooks = createWebhooks({ storage, eventTypes })

  await webhooks.publish({
    tenantId: 'acme',
    type: 'order.paid', // typed: another name, or other data, does not compile
    data: { orderId: 'o_1', total: 4200 },
    idempotencyKey: 'order-o_1-paid',
    channels: ['eu'],
  })
  return webhooks
}

export function ownEvents(storage: WebhooksStorage) {
  const webhooks = createWebhooks({
    storage,
    eventTypes: defineEventTypes({ ...defaultEventTypes, ...webhooksEvents }),
    events: (event, tx): Promise<void> => webhooks.sink(event, tx),
  })
  return webhooks
}

export async function operate(webhooks: Webhooks, deliveryId: string) {
  const scope = { tenantId: 'acme' }
  const dead = await webhooks.deadLetters.list(scope, { eventType: 'key.created' })
  const attempts = await webhooks.deliveries.attempts(scope, deliveryId) // the latest first
  await webhooks.deadLetters.redrive(scope, deliveryId) // or discard
  return { dead, attempts }
}

export function insideANetwork(storage: WebhooksStorage) {
  return createWebhooks({
    storage,
    network: {
      allow: ['10.20.0.0/16'], // these, next to the public internet
      allowHttp: true, // plain http too, but only to what `allow` names
      timeoutMs: 15_000,
    },
  })
}

export async function tested(hooksUrl: string, now: { now(): number }) {
  const webhooks = createWebhooks({
    storage: memoryStorage(),
    clock: now,
    network: { allow: ['127.0.0.1'], allowHttp: true },
  })
  await webhooks.endpoints.create({ tenantId: 'acme' }, { url: hooksUrl })
  await webhooks.publish({ tenantId: 'acme', type: 'key.created', data: { keyId: 'key_1' } })
  return webhooks.drain() // { delivered: 1, rescheduled: 0, deadLettered: 0, held: 0, canceled: 0 }
}

export function wired(knex: Knex, auditSink: EventSink) {
  const webhooks = createWebhooks({ storage: knexStorage(knex), events: auditSink })
  return { webhooks, eventsOfOthers: [webhooks.sink, auditSink] }
}
