import { createHash } from 'node:crypto'
import { createIdFactory, isProblem, type ProblemError, systemClock, systemRandom } from '@org/core'
import { recordingLogger, testDatabases } from '@org/core/testing'
import { createWebhooks, defaultEventTypes, defineEventTypes, memoryStorage } from '@org/webhooks'
import { knexStorage, migrate } from '@org/webhooks/knex'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { receiver } from './receiver.js'
import { testStorages } from './storages.js'
import { keyCreated, scope, world } from './world.js'

const problemOf = async (work: Promise<unknown>): Promise<ProblemError> => {
  const error = await work.catch((caught: unknown) => caught)
  if (isProblem(error)) return error
  throw new Error(`expected a problem, got ${String(error)}`)
}

const url = 'https://example.com/hooks'

describe('what is published', () => {
  const eventTypes = defineEventTypes({
    'order.paid': z.object({ orderId: z.string(), lines: z.array(z.object({ sku: z.string() })) }),
  })

  it('is refused when its type is unknown, naming the known ones', async () => {
    const { webhooks } = world({ eventTypes })
    const input = { tenantId: 't1', type: 'order.lost', data: {} }
    const problem = await problemOf(webhooks.publish(input as never))
    expect([problem.status, problem.errors]).toEqual([
      422,
      [{ pointer: '/type', detail: 'unknown value "order.lost"; known values: order.paid' }],
    ])
    expect((await problemOf(webhooks.publish({ ...input, type: 'constructor' } as never))).code).toBe('invalid_input')
  })

  it('is refused when its data does not fit, with pointers into it', async () => {
    const { webhooks } = world({ eventTypes })
    const data = { lines: [{ sku: 'a' }, { sku: 7 }] }
    const problem = await problemOf(webhooks.publish({ tenantId: 't1', type: 'order.paid', data } as never))
    expect(problem.status).toBe(422)
    expect(problem.errors?.map(({ pointer }) => pointer)).toEqual(['/data/orderId', '/data/lines/1/sku'])
  })

  it.each([
    [{ tenantId: ' t1' }, '/tenantId'],
    [{ channels: [] }, '/channels'],
    [{ idempotencyKey: 'a\u0000b' }, '/idempotencyKey'],
    [{ idempotencyKey: 'k'.repeat(129) }, '/idempotencyKey'],
    [{ topic: 'x' }, '/topic'],
    [{ data: { keyId: 'key_1', size: 1n } }, '/data'],
    [{ data: { keyId: 'key_1', text: 'x'.repeat(1024 * 1024) } }, '/data'],
  ])('is refused with %o', async (wrong, pointer) => {
    const { webhooks } = world()
    const problem = await problemOf(webhooks.publish({ ...keyCreated, ...wrong } as never))
    expect([problem.status, problem.errors?.map((field) => field.pointer)]).toEqual([422, [pointer]])
  })

  it('keeps what the default types do not name, for domain events of other modules', async () => {
    const { webhooks } = world()
    const { messageId } = await webhooks.publish({
      ...keyCreated,
      data: { keyId: 'k', scopes: ['keys:read'], name: null },
    })
    const message = await webhooks.messages.get(scope, messageId)
    expect(message.data).toEqual({ keyId: 'k', scopes: ['keys:read'], name: null })
  })

  it('has a name of words joined by dots', () => {
    for (const name of ['', 'key.', '.key', 'key created', 'key..created', 'key.*', 'k'.repeat(129)]) {
      expect(() => defineEventTypes({ [name]: z.unknown() }), name).toThrow(/event type/)
    }
  })
})

it('knows the same content again, whatever the order of its names', async () => {
  const { webhooks } = world()
  const publish = (data: { keyId: string; scope: object }) =>
    webhooks.publish({ ...keyCreated, data, idempotencyKey: 'k1' })
  const first = await publish({ keyId: 'k', scope: { read: true, write: [1, 2] } })
  expect(await publish({ scope: { write: [1, 2], read: true }, keyId: 'k' })).toEqual({ ...first, duplicate: true })
  expect((await problemOf(publish({ keyId: 'k', scope: { read: true, write: [2, 1] } }))).code).toBe(
    'idempotency_conflict',
  )
})

describe('fan-out', () => {
  it.each([
    [null, ['key.created', 'key.revoked', 'quota.exceeded']],
    [['*'], ['key.created', 'key.revoked', 'quota.exceeded']],
    [['key.*'], ['key.created', 'key.revoked']],
    [
      ['key.revoked', 'quota.*'],
      ['key.revoked', 'quota.exceeded'],
    ],
    [['quota.exceeded'], ['quota.exceeded']],
  ])('by the event types %j', async (eventTypes, heard) => {
    const { webhooks } = world()
    await webhooks.endpoints.create(scope, { url, eventTypes })
    await webhooks.publish(keyCreated)
    await webhooks.publish({ tenantId: 't1', type: 'key.revoked', data: { keyId: 'key_1' } })
    await webhooks.publish({ tenantId: 't1', type: 'quota.exceeded', data: {} })
    await webhooks.publish({ ...keyCreated, tenantId: 't2' })
    const { data } = await webhooks.deliveries.list(scope)
    expect(data.map(({ eventType }) => eventType).reverse()).toEqual(heard)
  })

  it.each([
    [undefined, ['all']],
    [['eu'], ['all', 'eu', 'both']],
    [
      ['us', 'eu'],
      ['all', 'eu', 'both', 'us'],
    ],
    [['asia'], ['all']],
  ])('by the channels %j', async (channels, heard) => {
    const { webhooks } = world()
    const subscriptions = { all: null, eu: ['eu'], both: ['us', 'eu'], us: ['us'] }
    const names = new Map<string, string>()
    for (const [name, subscribed] of Object.entries(subscriptions)) {
      names.set((await webhooks.endpoints.create(scope, { url, channels: subscribed })).id, name)
    }
    const { deliveries } = await webhooks.publish({ ...keyCreated, channels })
    expect(deliveries).toBe(heard.length)
    const { data } = await webhooks.deliveries.list(scope)
    expect(data.map(({ endpointId }) => names.get(endpointId)).sort()).toEqual([...heard].sort())
  })
})

for (const { name, missing, open } of await testStorages()) {
  describe.skipIf(missing)(`publishing on ${name}`, () => {
    it("exists if and only if the host's transaction commits", async () => {
      const { storage, transaction, close } = await open()
      const { webhooks } = world({ storage })
      const { url } = await receiver()
      const { id } = await webhooks.endpoints.create(scope, { url })
      const rollBack = new Error('roll back')
      const failed = transaction(async (tx) => {
        const { messageId } = await webhooks.publish(keyCreated, { tx })
        await webhooks.endpoints.create({ ...scope, tx }, { url })
        await webhooks.endpoints.disable({ ...scope, tx }, id)
        expect(await webhooks.messages.get({ ...scope, tx }, messageId)).toMatchObject({ type: 'key.created' })
        throw rollBack
      })
      await expect(failed).rejects.toBe(rollBack)
      expect((await webhooks.deliveries.list(scope)).data).toEqual([])
      expect((await webhooks.endpoints.list(scope)).data).toMatchObject([{ id, enabled: true }])
      const { messageId } = await transaction((tx) => webhooks.publish(keyCreated, { tx }))
      expect(await webhooks.drain()).toMatchObject({ delivered: 1 })
      expect((await webhooks.messages.get(scope, messageId)).deliveries).toBe(1)
      await close()
    })

    it('is idempotent by key and tenant, and refuses the key with other content', async () => {
      const { storage, close } = await open()
      const { webhooks } = world({ storage })
      await webhooks.endpoints.create(scope, { url })
      const keyed = { ...keyCreated, idempotencyKey: 'k1' }
      const first = await webhooks.publish(keyed)
      expect(first).toEqual({ messageId: expect.stringMatching(/^msg_[a-z0-9]{26}$/), deliveries: 1, duplicate: false })
      await webhooks.endpoints.create(scope, { url })
      expect(await webhooks.publish(keyed)).toEqual({ ...first, duplicate: true })
      for (const other of [{ data: { keyId: 'key_2' } }, { channels: ['eu'] }]) {
        const problem = await problemOf(webhooks.publish({ ...keyed, ...other }))
        expect([problem.status, problem.code]).toEqual([409, 'idempotency_conflict'])
      }
      expect((await webhooks.publish({ ...keyed, tenantId: 't2' })).duplicate).toBe(false)
      expect((await webhooks.deliveries.list(scope)).data.length).toBe(1)
      await close()
    })

    it('leaves nothing of a change whose sink refuses it', async () => {
      const { storage, close } = await open()
      const refusal = new Error('a sink refused')
      let refusing = false
      const events = () => {
        if (refusing) throw refusal
      }
      const { webhooks } = world({ storage, events })
      const { id } = await webhooks.endpoints.create(scope, { url })
      refusing = true
      await expect(webhooks.endpoints.create(scope, { url })).rejects.toBe(refusal)
      await expect(webhooks.endpoints.update(scope, id, { description: 'new' })).rejects.toBe(refusal)
      await expect(webhooks.endpoints.rotateSecret(scope, id)).rejects.toBe(refusal)
      await expect(webhooks.endpoints.delete(scope, id)).rejects.toBe(refusal)
      expect((await webhooks.endpoints.list(scope)).data).toMatchObject([{ id, description: null }])
      await close()
    })

    it('publishes the domain events of other modules through the sink, in their transaction', async () => {
      const { storage, transaction, close } = await open()
      const { webhooks } = world({ storage })
      const { sink } = webhooks
      const event = { id: 'evt_1', tenantId: 't1', actor: scope.actor, time: 0 }
      const created = { ...event, type: 'key.created', data: { keyId: 'key_1', name: 'Production' } }
      await webhooks.endpoints.create(scope, { url })
      const heard = async () => (await webhooks.deliveries.list(scope)).data.map(({ eventType }) => eventType)
      await transaction(async (tx) => {
        await sink(created, tx)
        await sink({ ...event, type: 'member.invited', data: {} }, tx)
      })
      expect(await heard()).toEqual(['key.created'])
      const refused = transaction(async (tx) => {
        await sink(created, tx)
        throw new Error('roll back')
      })
      await expect(refused).rejects.toThrow('roll back')
      expect(await heard()).toEqual(['key.created'])
      await sink(created, {}) // a transaction that is not ours: it opens its own
      expect(await heard()).toEqual(['key.created', 'key.created'])
      await expect(sink({ ...created, data: { keyId: 7 } }, {})).rejects.toThrow(/keyId/)
      await close()
    })
  })
}

for (const database of await testDatabases()) {
  describe.skipIf(database.missing)(`concurrency on ${database.name}`, () => {
    it('publishes once for a key, however many ask at the same time', async () => {
      const opened = await database.open()
      await migrate(opened.knex)
      const others = [opened.connect(), opened.connect()]
      const modules = [opened.knex, ...others].map((knex) => world({ storage: knexStorage(knex) }).webhooks)
      await modules[0]?.endpoints.create(scope, { url })
      const rounds = Array.from({ length: 5 }, (_, round) => `k${round}`)
      for (const idempotencyKey of rounds) {
        const calls = modules.flatMap((webhooks) =>
          [1, 2, 3, 4].map(() => webhooks.publish({ ...keyCreated, idempotencyKey })),
        )
        const published = await Promise.all(calls)
        expect(new Set(published.map(({ messageId }) => messageId)).size).toBe(1)
        expect(published.filter(({ duplicate }) => !duplicate).length).toBe(1)
      }
      const { data } = await (modules[0]?.deliveries.list(scope) ?? { data: [] })
      expect(data.length).toBe(rounds.length)
      await Promise.all(others.map((knex) => knex.destroy()))
      await opened.close()
    })

    it("publishes once for a key in many hosts' open transactions", async () => {
      const opened = await database.open({ pool: database.name === 'sqlite' ? 1 : 12 })
      await migrate(opened.knex)
      const { webhooks } = world({ storage: knexStorage(opened.knex) })
      await webhooks.endpoints.create(scope, { url })
      const calls = Array.from({ length: 12 }, () =>
        opened.knex.transaction(async (tx) => {
          const published = await webhooks.publish({ ...keyCreated, idempotencyKey: 'k1' }, { tx })
          await tx('webhooks_endpoints').select('id') // the host goes on working
          return published
        }),
      )
      const published = await Promise.all(calls)
      expect(new Set(published.map(({ messageId }) => messageId)).size).toBe(1)
      expect(published.filter(({ duplicate }) => !duplicate).length).toBe(1)
      await opened.close()
    })

    it('keeps out of the way of hosts who publish in transactions while it delivers', async () => {
      const opened = await database.open()
      const { knex, close } = opened
      await migrate(knex)
      const { url, received } = await receiver()
      const logger = recordingLogger()
      const webhooks = createWebhooks({
        storage: knexStorage(knex),
        logger,
        network: { allow: ['127.0.0.1'], allowHttp: true },
      })
      await webhooks.endpoints.create(scope, { url })
      const workers = [webhooks.startWorker({ pollMs: 20 }), webhooks.startWorker({ pollMs: 20 })]
      const publishers = Array.from({ length: 6 }, async () => {
        for (let n = 0; n < 15; n++) await knex.transaction((tx) => webhooks.publish(keyCreated, { tx }))
      })
      await Promise.all(publishers)
      await expect.poll(() => received.length).toBeGreaterThanOrEqual(90)
      await Promise.all(workers.map((worker) => worker.stop()))
      expect(new Set(received.map(({ headers }) => headers['webhook-id'])).size).toBe(90)
      expect(received.length).toBe(90)
      expect(logger.entries).toEqual([])
      await close()
    })
  })
}

it("joins a host's transaction on SQLite that has not written yet, while another process writes", async () => {
  const sqlite = (await testDatabases()).find(({ name }) => name === 'sqlite')
  const opened = await sqlite?.open()
  if (!opened) throw new Error('SQLite is always there')
  await migrate(opened.knex)
  const other = opened.connect()
  const connection = await other.client.acquireConnection()
  connection.pragma('busy_timeout = 0')
  const ids = createIdFactory(systemClock, systemRandom)
  // Comes between what publishing reads and what it writes then.
  const id = (prefix: string) => {
    if (prefix === 'del') {
      expect(() => connection.exec("delete from webhooks_migrations where name = ''")).toThrow(/locked/)
    }
    return ids(prefix)
  }
  const { webhooks } = world({ storage: knexStorage(opened.knex), id })
  await opened.knex.transaction((tx) => webhooks.publish(keyCreated, { tx }))
  await other.client.releaseConnection(connection)
  await other.destroy()
  await opened.close()
})

it('does not tell of a dead letter that told of a dead letter', async () => {
  const eventTypes = defineEventTypes({ ...defaultEventTypes, 'delivery.dead_lettered': z.looseObject({}) })
  const { url, received } = await receiver((_, __, response) => response.writeHead(500).end())
  const outer: { sink?: (event: never, tx: object) => unknown } = {}
  const { webhooks } = world({
    eventTypes,
    storage: memoryStorage(),
    retry: { scheduleMs: [0] },
    events: async (event, tx) => void (await outer.sink?.(event as never, tx)),
  })
  outer.sink = webhooks.sink as never
  await webhooks.endpoints.create(scope, { url })
  await webhooks.publish(keyCreated)
  expect(await webhooks.drain()).toMatchObject({ deadLettered: 2 })
  expect(received.map(({ body }) => JSON.parse(body).type)).toEqual(['key.created', 'delivery.dead_lettered'])
})

it('sends the same bytes and the same id at every attempt', async () => {
  const { url, received } = await receiver((_, __, response) => response.writeHead(500).end())
  const { webhooks, clock } = world({ retry: { scheduleMs: [0, 1000, 1000] } })
  await webhooks.endpoints.create(scope, { url })
  const { messageId } = await webhooks.publish(keyCreated)
  for (let n = 0; n < 3; n++) {
    await webhooks.drain()
    clock.advance(1000)
  }
  const digests = received.map(({ body }) => createHash('sha256').update(body).digest('hex'))
  expect([received.length, new Set(digests).size]).toEqual([3, 1])
  expect(new Set(received.map(({ headers }) => headers['webhook-id']))).toEqual(new Set([messageId]))
  expect(JSON.parse(received[0]?.body ?? '')).toEqual({
    type: 'key.created',
    timestamp: '2026-01-01T00:00:00.000Z',
    data: { keyId: 'key_1' },
  })
  const timestamps = received.map(({ headers }) => Number(headers['webhook-timestamp']))
  expect(timestamps.map((at) => at - (timestamps[0] ?? 0))).toEqual([0, 1, 2])
})
