/** What the guides to the first steps, to retries and to security show; run by docs.test.ts. */
import { createWebhooks, type Scope, type Webhooks, type WebhooksStorage } from '@org/webhooks'

export async function tried(webhooks: Webhooks, scope: Scope, endpointId: string) {
  const { deliveryId } = await webhooks.endpoints.sendTest(scope, endpointId) // a `webhook.test`
  await webhooks.drain() // or leave it to a worker
  const [attempt] = (await webhooks.deliveries.attempts(scope, deliveryId)).data
  return attempt?.status // what the receiver answered
}

type WriteMail = (tenantId: string, url: string, reason: string | null) => void

export function scheduled(storage: WebhooksStorage, writeMail: WriteMail) {
  return (
    // what the page shows
    createWebhooks({
      storage,
      retry: { scheduleMs: [0, 10_000, 60_000, 3_600_000] }, // four attempts
      onEndpointDisabled: ({ url, disabledReason }, { tenantId }) => writeMail(tenantId, url, disabledReason),
    })
  )
}

export async function hurried(webhooks: Webhooks, scope: Scope, endpointId: string) {
  await webhooks.endpoints.update(scope, endpointId, { retryScheduleMs: [0, 60_000, 3_600_000], timeoutMs: 5_000 })
}

export function proxied(storage: WebhooksStorage) {
  return (
    // what the page shows
    createWebhooks({ storage, network: { proxy: 'http://deliveries:password@proxy.internal:3128' } })
  )
}

export async function rotated(webhooks: Webhooks, scope: Scope, endpointId: string) {
  const { secret } = await webhooks.endpoints.rotateSecret(scope, endpointId, { overlapSeconds: 3_600 })
  return secret
}

export function sealed(storage: WebhooksStorage, key: string) {
  return (
    // what the page shows
    createWebhooks({ storage, encryption: { keys: { '2026-01': key }, current: '2026-01' } })
  )
}

export async function challenged(storage: WebhooksStorage, scope: Scope, url: string) {
  const webhooks = createWebhooks({ storage, challenge: true })
  const { id } = await webhooks.endpoints.create(scope, { url })
  // …and when the customer says that the receiver is ready:
  await webhooks.endpoints.verify(scope, id)
}
