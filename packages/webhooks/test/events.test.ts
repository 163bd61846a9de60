import { memoryStorage, webhooksEvents } from '@org/webhooks'
import { expect, it } from 'vitest'
import { receiver } from './receiver.js'
import { keyCreated, scope, world } from './world.js'

/** Does once whatever tells of itself. */
async function everything() {
  const storage = memoryStorage()
  const made = world({ storage, retry: { scheduleMs: [0] } })
  const { endpoints, deliveries, deadLetters, publish, drain } = made.webhooks
  const target = await receiver((_, __, response) => response.writeHead(500).end())
  const { id } = await endpoints.create(scope, { url: target.url })
  await endpoints.update(scope, id, { description: 'Ours' })
  await endpoints.rotateSecret(scope, id)
  await endpoints.disable(scope, id)
  await endpoints.enable(scope, id)
  await publish(keyCreated)
  await drain()
  const [{ id: deliveryId, messageId } = { id: '', messageId: '' }] = (await deadLetters.list(scope)).data
  await deadLetters.redrive(scope, deliveryId)
  await deliveries.cancel(scope, deliveryId)
  await deliveries.retry(scope, deliveryId)
  await drain()
  await deadLetters.discard(scope, deliveryId)
  const later = await publish(keyCreated)
  await made.webhooks.messages.cancel(scope, later.messageId)
  await made.webhooks.messages.expunge(scope, messageId)
  const since = made.clock.now() - 1
  const { id: job } = await made.webhooks.recover(scope, { endpointId: id, since })
  await made.webhooks.jobs.cancel(scope, job)
  await made.webhooks.recover(scope, { endpointId: id, since })
  await drain()
  await made.webhooks.replay(scope, { endpointId: id, since })
  await endpoints.delete(scope, id)
  await drain()
  return made
}

it('tells of each event of the catalog, with the data that it promises and nothing else', async () => {
  const { events } = await everything()
  expect([...new Set(events.map(({ type }) => type))].sort()).toEqual(Object.keys(webhooksEvents).sort())
  for (const { type, data, resource } of events) {
    const schema = webhooksEvents[type as keyof typeof webhooksEvents]
    expect([type, schema.strict().safeParse(data).error]).toEqual([type, undefined])
    const id = { endpoint: data.endpointId, delivery: data.deliveryId, message: data.messageId, job: data.jobId }
    const about = type.split('.')[0] as keyof typeof id
    expect(resource).toEqual({ type: about, id: id[about] })
  }
})

it('shows before and after as the routes do', async () => {
  const { events } = await everything()
  const updated = events.find(({ type }) => type === 'endpoint.updated')
  expect(updated?.before).toMatchObject({ description: null, createdAt: '2026-01-01T00:00:00.000Z' })
  expect(updated?.after).toMatchObject({ description: 'Ours', createdAt: '2026-01-01T00:00:00.000Z' })
  const redriven = events.find(({ type }) => type === 'delivery.redriven')
  expect(redriven?.before).toMatchObject({ status: 'dead_letter', endedAt: '2026-01-01T00:00:00.000Z' })
  expect(redriven?.after).toMatchObject({ status: 'pending', nextAttemptAt: '2026-01-01T00:00:00.000Z' })
  for (const { before, after } of events) {
    for (const shown of [before ?? {}, after ?? {}]) {
      expect(shown).not.toHaveProperty('tenantId')
      expect(shown).not.toHaveProperty('secrets')
    }
  }
})

it.each(Object.entries(webhooksEvents))('%s is described, with an example that fits', (_, schema) => {
  const { description, examples } = schema.meta() ?? {}
  expect(description).toMatch(/\.$/)
  expect(schema.strict().safeParse((examples as unknown[])[0]).error).toBe(undefined)
})
