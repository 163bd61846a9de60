/** Publishing many, to many, in the place of others, and what can be taken back. */
import { createRuntime } from '@org/core'
import { defaultScheduleMs, defineEventTypes, type Published, type Webhooks, type WebhooksStorage } from '@org/webhooks'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { createFilters } from '../src/endpoints/filter.js'
import type { StoredEndpoint } from '../src/endpoints/schema.js'
import { createFanOut } from '../src/messages/fan-out.js'
import { delivery, message } from '../src/testing/fixtures.js'
import { receiver } from './receiver.js'
import { testStorages } from './storages.js'
import { keyCreated, scope, world } from './world.js'

const order = z.object({ id: z.string(), total: z.number() })
const eventTypes = defineEventTypes({ 'order.paid': order, 'order.shipped': order })
const paid = (id: string, total = 1) => ({ tenantId: 't1', type: 'order.paid', data: { id, total } }) as const

async function statuses(storage: WebhooksStorage, messageId: string): Promise<string[]> {
  const rows = await storage.read(({ deliveries }) => deliveries.list('t1', { messageId }, { limit: 50, after: null }))
  return rows.map(({ status }) => status).sort()
}

const fanOutDeps = { filters: createFilters(), schedule: defaultScheduleMs, maxBodyBytes: 1_000_000, wake: () => {} }

/** More than a publisher fans out to itself. */
async function manyEndpoints(
  storage: WebhooksStorage,
  { endpoints }: Pick<Webhooks<typeof eventTypes>, 'endpoints'>,
  total: number,
  part: (n: number) => Partial<StoredEndpoint> = () => ({}),
): Promise<void> {
  const { id } = await endpoints.create(scope, { url: 'https://example.com/hooks' })
  const [stored] = await storage.read((stores) => stores.endpoints.byIds([id]))
  if (!stored) throw new Error('it was just created')
  await storage.run(async (stores) => {
    for (let n = 1; n < total; n++) {
      await stores.endpoints.insert({ ...stored, id: `ep_${String(n).padStart(6, '0')}`, ...part(n) })
    }
  })
}

for (const { name, missing, open } of await testStorages()) {
  describe.skipIf(missing)(`publishing on ${name}`, () => {
    it('publishes a batch in one transaction, all or none', async () => {
      const { storage, transaction, close } = await open()
      const { webhooks } = world({ storage, eventTypes })
      const target = await receiver()
      await webhooks.endpoints.create(scope, { url: target.url })
      await webhooks.endpoints.create({ tenantId: 't2' }, { url: target.url })
      const keyed = { ...paid('c'), idempotencyKey: 'once' }
      const batch = [paid('a'), { ...paid('b'), tenantId: 't2' }, keyed, keyed, { ...paid('d'), tenantId: 't3' }]
      const answers = await transaction((tx) => webhooks.publishBatch(batch, { tx }))
      expect(answers.map(({ deliveries, duplicate }) => [deliveries, duplicate])).toEqual([
        [1, false],
        [1, false],
        [1, false],
        [1, true],
        [0, false],
      ])
      expect(await webhooks.drain()).toMatchObject({ delivered: 3 })
      expect(new Set(target.ids())).toEqual(new Set(answers.slice(0, 3).map(({ messageId }) => messageId)))

      const bad = webhooks.publishBatch([paid('e'), { ...paid('f'), data: { id: 'f', total: 'x' } } as never])
      await expect(bad).rejects.toMatchObject({ code: 'invalid_input', errors: [{ pointer: '/1/data/total' }] })
      const conflicting = webhooks.publishBatch([paid('g'), { ...paid('h'), idempotencyKey: 'once' }])
      await expect(conflicting).rejects.toMatchObject({ code: 'idempotency_conflict' })
      expect(await webhooks.drain()).toMatchObject({ delivered: 0 })
      expect(await webhooks.publishBatch([])).toEqual([])
      await close()
    })

    it.skipIf(name === 'postgres' || name === 'mariadb')(
      'takes the place of what still waits, however many came before',
      async () => {
        const { storage, close } = await open()
        const { webhooks } = world({ storage, eventTypes })
        await webhooks.endpoints.create(scope, { url: 'https://example.com/hooks' })
        // More than SQLite takes parameters.
        const count = 33_000
        await storage.run(async ({ messages, deliveries }) => {
          const numbers = Array.from({ length: count }, (_, n) => n)
          await messages.insert(numbers.map((n) => message({ id: `msg_${n}`, coalesceKey: 'c' })))
          const ended = { coalesceKey: 'c', status: 'delivered', endedAt: 1 } as const
          await deliveries.insert(numbers.map((n) => delivery({ id: `del_${n}`, messageId: `msg_${n}`, ...ended })))
        })
        const first = await webhooks.publish({ ...paid('a'), coalesceKey: 'c' })
        await webhooks.publish({ ...paid('a'), coalesceKey: 'c' })
        expect(await statuses(storage, first.messageId)).toEqual(['canceled'])
        await close()
      },
    )

    it('takes the place of what a worker has yet to fan out, wholly or in part', async () => {
      const { storage, close } = await open()
      const { webhooks, clock } = world({ storage, eventTypes })
      await manyEndpoints(storage, webhooks, 501)
      const waits = async ({ messageId }: { messageId: string }) =>
        (await storage.read(({ messages }) => messages.get('t1', messageId)))?.fanOutAfter
      const progress = () => webhooks.publish({ ...paid('a'), coalesceKey: 'c' })
      const untouched = await progress()
      const begun = await progress()
      expect([await waits(untouched), await waits(begun)]).toEqual([null, ''])
      const fanOut = createFanOut({ ...fanOutDeps, storage, runtime: createRuntime({ clock }) })
      await fanOut.goOn()
      expect(new Set(await statuses(storage, begun.messageId))).toEqual(new Set(['pending']))
      expect(await waits(begun)).toMatch(/^ep_/)
      const last = await progress()
      expect(await waits(begun)).toBe(null)
      expect(new Set(await statuses(storage, begun.messageId))).toEqual(new Set(['canceled']))
      while (await fanOut.goOn());
      const counts = await storage.read(async ({ deliveries }) => [
        await deliveries.countOf(untouched.messageId),
        await deliveries.countOf(begun.messageId),
        await deliveries.countOf(last.messageId),
      ])
      expect(counts).toEqual([0, 500, 501])
      await close()
    })

    it.each([
      ['canceled', 500],
      ['delivered', 200],
    ])('makes no further attempt of what is canceled while it is being sent: it ends as %s', async (ends, status) => {
      const { storage, close } = await open()
      const { webhooks, clock } = world({ storage, eventTypes })
      const meanwhile = [
        ({ messageId }: Published) => webhooks.messages.cancel(scope, messageId),
        () => webhooks.publish({ ...paid('a', 2), coalesceKey: 'c' }),
      ]
      for (const work of meanwhile) {
        let published: Published | undefined
        const target = await receiver(async (_, __, response) => {
          if (published) await work(published)
          published = undefined
          response.writeHead(status).end()
        })
        const { id } = await webhooks.endpoints.create(scope, { url: target.url })
        published = await webhooks.publish({ ...paid('a'), coalesceKey: 'c' })
        const { messageId } = published
        await webhooks.drain()
        expect(await statuses(storage, messageId)).toEqual([ends])
        clock.advance(80_000_000)
        await webhooks.drain()
        expect(target.ids().filter((sent) => sent === messageId)).toHaveLength(1)
        await webhooks.endpoints.delete(scope, id)
      }
      await close()
    })

    it('leaves it to a worker to fan out to a great many, and cuts the work into short transactions', async () => {
      const { storage, close } = await open()
      const { webhooks, clock } = world({ storage, eventTypes })
      const total = 1_203
      await manyEndpoints(storage, webhooks, total, (n) => ({ eventTypes: n % 3 === 0 ? ['order.shipped'] : null }))
      const published = await webhooks.publish({ ...paid('a'), idempotencyKey: 'once' })
      expect(published).toMatchObject({ deliveries: null, duplicate: false })
      clock.advance(1)
      await webhooks.endpoints.create(scope, { url: 'https://example.com/hooks', eventTypes: ['order.paid'] })
      const count = () => storage.read(({ deliveries }) => deliveries.countOf(published.messageId))
      expect(await count()).toBe(0)
      const worker = webhooks.startWorker({ concurrency: 1, pollMs: 20 })
      const expected = total - Math.floor((total - 1) / 3)
      await expect.poll(count).toBe(expected)
      await worker.stop({ graceMs: 0 })
      const again = await webhooks.publish({ ...paid('a'), idempotencyKey: 'once' })
      expect(again).toEqual({ messageId: published.messageId, deliveries: expected, duplicate: true })
      await close()
    })

    it('takes the place of earlier messages with the same key, in the same transaction', async () => {
      const { storage, transaction, close } = await open()
      const { webhooks } = world({ storage, eventTypes })
      const target = await receiver()
      const { id } = await webhooks.endpoints.create(scope, { url: target.url })
      await webhooks.endpoints.create({ tenantId: 't2' }, { url: target.url })
      const progress = (total: number) => ({ ...paid('a', total), coalesceKey: 'order-a' })
      const first = await webhooks.publish(progress(1))
      await webhooks.publish({ ...progress(1), tenantId: 't2' })
      await webhooks.endpoints.disable(scope, id)
      await webhooks.drain()
      const undone = transaction(async (tx) => {
        await webhooks.publish(progress(2), { tx })
        throw new Error('rolled back')
      })
      await expect(undone).rejects.toThrow('rolled back')
      expect(await statuses(storage, first.messageId)).toEqual(['held'])

      const last = await webhooks.publish(progress(3))
      expect(await statuses(storage, first.messageId)).toEqual(['canceled'])
      await webhooks.endpoints.enable(scope, id)
      expect(await webhooks.drain()).toMatchObject({ delivered: 1 })
      expect(target.ids()).toContain(last.messageId)
      // What was delivered stays delivered.
      await webhooks.publish(progress(4))
      expect(await statuses(storage, last.messageId)).toEqual(['delivered'])
      await close()
    })

    it('cancels what is still to be sent of a message, and says so', async () => {
      const { storage, transaction, close } = await open()
      const { webhooks, events } = world({ storage, eventTypes })
      const target = await receiver()
      for (let n = 0; n < 3; n++) await webhooks.endpoints.create(scope, { url: target.url })
      const { messageId } = await webhooks.publish(paid('a'))
      const answer = await transaction((tx) => webhooks.messages.cancel({ ...scope, tx }, messageId))
      expect(answer).toEqual({ canceled: 3 })
      expect(await webhooks.messages.cancel(scope, messageId)).toEqual({ canceled: 0 })
      expect(await webhooks.drain()).toMatchObject({ delivered: 0 })
      expect(events.filter(({ type }) => type === 'message.canceled')[0]).toMatchObject({
        data: { messageId, eventType: 'order.paid', canceled: 3 },
        actor: scope.actor,
      })
      await expect(webhooks.messages.cancel({ tenantId: 't2' }, messageId)).rejects.toMatchObject({ code: 'not_found' })
      await close()
    })

    it('goes to the endpoints whose filter its data passes', async () => {
      const { storage, close } = await open()
      const { webhooks } = world({ storage, eventTypes })
      const target = await receiver()
      const { id } = await webhooks.endpoints.create(scope, { url: target.url, filter: { total: { $gte: 100 } } })
      expect(await webhooks.publish(paid('small', 99))).toMatchObject({ deliveries: 0 })
      expect(await webhooks.publish(paid('large', 100))).toMatchObject({ deliveries: 1 })
      expect(await webhooks.endpoints.get(scope, id)).toMatchObject({ filter: { total: { $gte: 100 } } })
      await webhooks.endpoints.update(scope, id, { filter: null })
      expect(await webhooks.publish(paid('small', 99))).toMatchObject({ deliveries: 1 })
      const bad = webhooks.endpoints.update(scope, id, { filter: { total: { $greater: 1 } } as never })
      await expect(bad).rejects.toMatchObject({ code: 'invalid_input' })
      await close()
    })
  })
}

describe('what is sent', () => {
  it('is made by the host for the endpoints that want another body, and signed as it is sent', async () => {
    const target = await receiver()
    const { webhooks } = world({
      transform: ({ body, endpoint, message }) =>
        endpoint.metadata.kind === 'chat' ? { text: `${message.type}: ${JSON.stringify(body.data)}` } : body,
      headers: ({ endpoint }) => ({ 'X-Kind': endpoint.metadata.kind ?? 'plain' }),
    })
    await webhooks.endpoints.create(scope, { url: target.url, metadata: { kind: 'chat' } })
    await webhooks.endpoints.create(scope, { url: target.url })
    await webhooks.publish(keyCreated)
    expect(await webhooks.drain()).toMatchObject({ delivered: 2 })
    const byKind = (kind: string) => target.received.find(({ headers }) => headers['x-kind'] === kind)
    expect(JSON.parse(byKind('chat')?.body ?? '')).toEqual({ text: 'key.created: {"keyId":"key_1"}' })
    expect(JSON.parse(byKind('plain')?.body ?? '')).toMatchObject({ type: 'key.created', data: keyCreated.data })
  })

  it.each([
    ['transform', { transform: () => undefined }],
    ['transform', { transform: async () => ({}) }],
    ['transform', { transform: () => Promise.reject(new Error('too late')) }],
    ['headers', { headers: () => ({ 'webhook-id': 'mine' }) }],
    ['headers', { headers: () => ({ 'x y': 'mine' }) }],
    ['headers', { headers: () => ({ 'x-y': 'a\nb' }) }],
    ['headers', { headers: async () => ({ 'x-y': 'mine' }) }],
  ])('fails with a clear error if the host’s `%s` does', async (_, options) => {
    const target = await receiver()
    const { webhooks, log } = world(options as never)
    await webhooks.endpoints.create(scope, { url: target.url })
    await webhooks.publish(keyCreated)
    expect(await webhooks.drain()).toMatchObject({ rescheduled: 1 })
    const [delivery] = (await webhooks.deliveries.list(scope)).data
    const [attempt] = (await webhooks.deliveries.attempts(scope, delivery?.id ?? '')).data
    expect(attempt).toMatchObject({ error: 'transform_failed', detail: expect.stringContaining('Nothing was sent') })
    expect(log.at(-1)?.fields.error).toMatchObject({ message: expect.stringMatching(/`(transform|headers)`/) })
    expect(target.received).toEqual([])
  })

  it('carries the headers of the customer, which nothing shows again', async () => {
    const target = await receiver()
    const { webhooks, events } = world()
    const headers = { Authorization: 'Bearer s3cret', 'X-Env': 'test' }
    const created = await webhooks.endpoints.create(scope, { url: target.url, headers })
    expect(created.headerNames).toEqual(['authorization', 'x-env'])
    await webhooks.publish(keyCreated)
    await webhooks.drain()
    expect(target.received[0]?.headers).toMatchObject({ authorization: 'Bearer s3cret', 'x-env': 'test' })
    const [delivery] = (await webhooks.deliveries.list(scope)).data
    const [attempt] = (await webhooks.deliveries.attempts(scope, delivery?.id ?? '')).data
    expect(attempt?.requestHeaders).toMatchObject({ authorization: '[hidden]', 'x-env': '[hidden]' })
    const changed = await webhooks.endpoints.update(scope, created.id, { headers: { 'x-env': null, 'X-New': '1' } })
    expect(changed.headerNames).toEqual(['authorization', 'x-new'])
    const everything = JSON.stringify([events, created, changed, await webhooks.endpoints.list(scope)])
    expect(everything).not.toContain('s3cret')
    for (const name of ['webhook-id', 'Content-Type', 'Host', 'transfer-encoding']) {
      const reserved = webhooks.endpoints.create(scope, { url: target.url, headers: { [name]: 'x' } })
      await expect(reserved, name).rejects.toMatchObject({ code: 'invalid_input' })
    }
  })

  it('keeps to the endpoint’s own schedule and deadline', async () => {
    const { webhooks, clock } = world()
    const target = await receiver((_, __, response) => response.writeHead(500).end())
    const hanging = await receiver(() => {})
    await webhooks.endpoints.create(scope, { url: target.url, retryScheduleMs: [0, 1_000] })
    await webhooks.publish(keyCreated)
    expect(await webhooks.drain()).toMatchObject({ rescheduled: 1 })
    clock.advance(1_001)
    expect(await webhooks.drain()).toMatchObject({ deadLettered: 1 })
    const { id } = await webhooks.endpoints.create(scope, { url: hanging.url, timeoutMs: 1_000 })
    await webhooks.endpoints.sendTest(scope, id)
    await webhooks.drain()
    const [delivery] = (await webhooks.deliveries.list(scope, { endpointId: id })).data
    expect(delivery).toMatchObject({ lastError: 'timeout' })
  })

  it('is refused when it is published if it is too large', async () => {
    const { webhooks } = world({ maxPayloadBytes: 500 })
    const large = webhooks.publish({ ...keyCreated, data: { keyId: 'x'.repeat(500) } })
    await expect(large).rejects.toMatchObject({ code: 'invalid_input', errors: [{ pointer: '/data' }] })
    expect(() => world({ maxPayloadBytes: 0.5 })).toThrow(/maxPayloadBytes/)
  })
})
