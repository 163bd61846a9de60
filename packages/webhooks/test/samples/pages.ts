/** What the further pages of the guide show; run by docs.test.ts. */
import { openapi } from '@org/core'
import {
  createWebhooks,
  defineEventTypes,
  type Scope,
  type WebhookEvent,
  type Webhooks,
  type WebhooksStorage,
} from '@org/webhooks'
import { type RequestEventsPublisher, requestEvents } from '@org/webhooks/express'
import { type ReceivedHeaders, verifyWebhook } from '@org/webhooks/verify'
import type { Express, Request } from 'express'
import { z } from 'zod'

export function healthRoute(app: Express, webhooks: Webhooks) {
  app.get('/health/webhooks', async (_, res) => {
    const health = await webhooks.health()
    res.status(health.ok ? 200 : 503).json(health)
  })
}

export function kept(storage: WebhooksStorage) {
  return (
    // what the page shows
    createWebhooks({ storage, retention: { messagesMs: 30 * 86_400_000, payloadsMs: 7 * 86_400_000 } })
  )
}

export async function recovered(webhooks: Webhooks, scope: Scope, endpointId: string) {
  const job = await webhooks.recover(scope, { endpointId, since: Date.now() - 24 * 60 * 60 * 1000 })
  const { status, processed, affected, total } = await webhooks.jobs.get(scope, job.id)
  return { status, processed, affected, total }
}

export function told(app: Express, webhooks: RequestEventsPublisher, tenantOf: (req: Request) => string | null) {
  const requests = requestEvents(webhooks, {
    tenant: (req) => tenantOf(req), // an id, { tenantId, keyId }, or null to tell nobody
    sampleRate: 0.1, // a tenth of those that went well; failures are all told
  })
  app.use(requests) // before your routes
  return requests
}

export function described(webhooks: Pick<Webhooks, 'http'>) {
  const document = openapi(webhooks.http, { title: 'Acme', version: '1' })
  return document
}

const eventTypes = defineEventTypes({ 'order.paid': z.object({ orderId: z.string() }), 'order.lost': z.object({}) })

export function consumed(secret: string, headers: ReceivedHeaders, body: string) {
  const event = verifyWebhook<WebhookEvent<typeof eventTypes>>(secret, headers, body)
  if (event.type === 'order.paid') return event.data.orderId // typed
  return null
}
