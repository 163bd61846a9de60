/** What the catalogue shows to subscribers: schemas, examples, and the OpenAPI document's `webhooks`. */
import { openapi } from '@org/core'
import { createWebhooks, defaultEventTypes, defineEventTypes, memoryStorage, webhooksEvents } from '@org/webhooks'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'

describe('the catalogue', () => {
  it.each(Object.entries(defaultEventTypes))('%s has an example that fits its schema', (_, schema) => {
    const { description, examples } = schema.meta() ?? {}
    expect(description).toMatch(/\.$/)
    expect(schema.safeParse((examples as unknown[])[0]).error).toBe(undefined)
  })

  it("is the OpenAPI document's webhooks, also with a host's own types", () => {
    const order = z
      .object({ orderId: z.string() })
      .meta({ description: 'An order was paid.', examples: [{ orderId: 'o_1' }] })
    const eventTypes = defineEventTypes({ ...webhooksEvents, ...defaultEventTypes, 'order.paid': order })
    const { http } = createWebhooks({ storage: memoryStorage(), eventTypes })
    const document = openapi(http, { title: 'Webhooks', version: '1' }) as {
      webhooks: Record<string, { post: Record<string, unknown> }>
    }
    expect(Object.keys(document.webhooks)).toEqual(Object.keys(eventTypes).sort())
    expect(document.webhooks['order.paid']?.post).toMatchObject({
      summary: 'An order was paid.',
      parameters: [{ name: 'webhook-id' }, { name: 'webhook-timestamp' }, { name: 'webhook-signature' }],
      requestBody: {
        content: {
          'application/json': {
            example: { type: 'order.paid', data: { orderId: 'o_1' } },
            schema: {
              required: ['type', 'timestamp', 'data'],
              properties: { type: { const: 'order.paid' }, data: { properties: { orderId: { type: 'string' } } } },
            },
          },
        },
      },
      responses: { '2XX': {}, '410': {}, '429': {}, default: {} },
    })
  })
})
