/** What a receiver gets of each event type, for the OpenAPI document's `webhooks`. */
import type { OutgoingWebhook } from '@org/core'
import { z } from 'zod'
import type { EventTypes } from './catalog.js'

const headers = {
  'webhook-id': 'The id of the message, the same at every attempt. Remember it, and do nothing the second time.',
  'webhook-timestamp': 'When this attempt was made, in seconds since the epoch.',
  'webhook-signature': 'One signature for each secret, separated by spaces: `v1,` HMAC-SHA256, `v1a,` Ed25519.',
}

const responses = {
  '2XX': 'Delivered.',
  '3XX': 'A failure: redirects are not followed.',
  '410': 'The endpoint is no more: it is disabled, and what it has is held.',
  '429': 'Tried again, not before `Retry-After`.',
  default: 'Tried again by the retry schedule, and then a dead letter.',
}

export function outgoingWebhooks(types: EventTypes): Record<string, OutgoingWebhook> {
  const entries = Object.entries(types).map(([type, data]): [string, OutgoingWebhook] => {
    const { description, examples } = (data.meta() ?? {}) as { description?: string; examples?: unknown[] }
    const timestamp = z.iso.datetime().describe('When it was published.')
    const body = z.object({ type: z.literal(type), timestamp, data })
    const example = { type, timestamp: '2026-01-01T00:00:00.000Z', data: examples?.[0] ?? null }
    return [type, { summary: description ?? type, body, example, headers, responses }]
  })
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)))
}
