/**
 * The contract that every storage of @org/webhooks keeps, for whoever writes an adapter. It knows no test runner:
 *
 * ```ts
 * for (const { name, run } of storageContract) it(name, () => run(open))
 * ```
 */
import assert from 'node:assert/strict'
import { type ContractCase, contractCase } from '@org/core/testing'
import type { Attempt, StoredDelivery } from './deliveries/schema.js'
import type { Claimed, ClaimRequest } from './deliveries/store.js'
import type { StoredEndpoint } from './endpoints/schema.js'
import type { StoredMessage } from './messages/schema.js'
import type { WebhooksStorage } from './storage/port.js'

export { type FakeClock, fakeClock } from '@org/core/testing'

export const storageContract: readonly ContractCase<WebhooksStorage>[] = [
  contractCase('keeps an endpoint as it is, for its own tenant alone', async ({ storage }) => {
    const row = endpoint({ eventTypes: ['key.*'], channels: ['eu'], metadata: { Team: 'Ünïcode 🪝' } })
    const other = endpoint({ id: 'ep_2', tenantId: 'T1', description: 'Ünïcode 🪝' })
    await storage.run(async ({ endpoints }) => {
      await endpoints.insert(row)
      await endpoints.insert(other)
    })
    await storage.run(async ({ endpoints }) => {
      assert.deepEqual(await endpoints.get('t1', 'ep_1'), row)
      assert.deepEqual(await endpoints.lock('t1', 'ep_1'), row)
      assert.equal(await endpoints.get('T1', 'ep_1'), null)
      assert.equal(await endpoints.lock('T1', 'ep_1'), null)
      assert.deepEqual(await endpoints.byIds(['ep_2', 'ep_9']), [other])
      const [subscriber, ...rest] = await endpoints.subscribers('t1')
      assert.deepEqual([subscriber?.id, subscriber?.eventTypes, subscriber?.channels], ['ep_1', ['key.*'], ['eu']])
      assert.deepEqual(rest, [])
      const patch = { enabled: false, disabledReason: 'gone', secrets: [{ value: 'whsec_b', expiresAt: 7 }] } as const
      await endpoints.update('ep_1', { ...patch, secrets: [...patch.secrets] })
      assert.deepEqual(await endpoints.get('t1', 'ep_1'), { ...row, ...patch })
      await endpoints.remove('ep_1')
      assert.equal(await endpoints.get('t1', 'ep_1'), null)
    })
  }),

  contractCase('lists endpoints the newest first, page by page', async ({ storage }) => {
    const rows = ['ep_1', 'ep_2', 'ep_3'].map((id) => endpoint({ id }))
    await storage.run(async ({ endpoints }) => {
      for (const row of rows) await endpoints.insert(row)
    })
    const page = (after: [string] | null) =>
      storage
        .read(({ endpoints }) => endpoints.list('t1', { limit: 2, after }))
        .then((list) => list.map(({ id }) => id))
    assert.deepEqual(await page(null), ['ep_3', 'ep_2'])
    assert.deepEqual(await page(['ep_2']), ['ep_1'])
  }),

  contractCase('publishes once for each idempotency key of a tenant', async ({ storage }) => {
    const keyed = message({ idempotencyKey: 'k' })
    const insert = (row: StoredMessage) => storage.run(({ messages }) => messages.insertOrFind(row))
    assert.equal(await insert(keyed), null)
    assert.deepEqual(await insert(message({ id: 'msg_2', idempotencyKey: 'k' })), keyed)
    assert.equal(await insert(message({ id: 'msg_3', idempotencyKey: 'K' })), null)
    assert.equal(await insert(message({ id: 'msg_4', idempotencyKey: 'k', tenantId: 't2' })), null)
    assert.equal(await insert(message({ id: 'msg_5' })), null)
    assert.equal(await insert(message({ id: 'msg_6' })), null)
    await storage.run(async ({ messages }) => {
      assert.deepEqual(await messages.get('t1', 'msg_1'), keyed)
      assert.equal(await messages.get('t2', 'msg_1'), null)
      assert.deepEqual(
        (await messages.byIds(['msg_5', 'msg_2'])).map(({ id }) => id),
        ['msg_5'],
      )
    })
  }),

  contractCase('goes on after a taken idempotency key in the same transaction', async ({ storage }) => {
    await storage.run(async ({ messages }) => {
      await messages.insertOrFind(message({ idempotencyKey: 'k' }))
      assert.equal((await messages.insertOrFind(message({ id: 'msg_2', idempotencyKey: 'k' })))?.id, 'msg_1')
      assert.equal(await messages.insertOrFind(message({ id: 'msg_3', idempotencyKey: 'l' })), null)
    })
    const found = await storage.read(({ messages }) => messages.byIds(['msg_1', 'msg_2', 'msg_3']))
    assert.deepEqual(found.map(({ id }) => id).sort(), ['msg_1', 'msg_3'])
  }),

  contractCase('claims what is due, the longest due first, and counts the attempt', async ({ storage }) => {
    await addDeliveries(
      storage,
      delivery({ id: 'del_1', dueAt: 900 }),
      delivery({ id: 'del_2', dueAt: 800 }),
      delivery({ id: 'del_3', dueAt: 1001 }),
      delivery({ id: 'del_4', dueAt: 1, status: 'held' }),
      delivery({ id: 'del_5', dueAt: 1, status: 'delivered' }),
    )
    assert.equal(await storage.read(({ deliveries }) => deliveries.anyDue(799)), false)
    assert.equal(await storage.read(({ deliveries }) => deliveries.anyDue(800)), true)
    const { deliveries, expired } = await claim(storage, { limit: 2 })
    assert.deepEqual(deliveries, [
      delivery({ id: 'del_2', attempts: 1, step: 1, leaseToken: 'lease_1', dueAt: 5000 }),
      delivery({ id: 'del_1', attempts: 1, step: 1, leaseToken: 'lease_1', dueAt: 5000 }),
    ])
    assert.deepEqual(expired, [])
    const stored = await storage.read(({ deliveries }) => deliveries.get('t1', 'del_2'))
    assert.deepEqual(stored, deliveries[0])
    assert.deepEqual((await claim(storage)).deliveries, [])
  }),

  contractCase('claims no more than it is asked for, nor what comes due later', async ({ storage }) => {
    await addDeliveries(storage, ...[1, 2, 3].map((n) => delivery({ id: `del_${n}`, dueAt: n })))
    assert.deepEqual(idsOf(await claim(storage, { dueBy: 2 })), ['del_1', 'del_2'])
    assert.deepEqual(idsOf(await claim(storage, { limit: 1 })), ['del_3'])
  }),

  contractCase('claims an expired lease again, and tells', async ({ storage }) => {
    await addDeliveries(storage, delivery({ dueAt: 900 }))
    const first = await claim(storage, { leaseUntil: 1500 })
    assert.deepEqual((await claim(storage, { now: 1499, dueBy: 1499, token: 'lease_2' })).deliveries, [])
    const second = await claim(storage, { now: 1500, dueBy: 1500, token: 'lease_2' })
    assert.deepEqual(second.expired, first.deliveries)
    assert.deepEqual(second.deliveries, [delivery({ attempts: 2, step: 2, leaseToken: 'lease_2', dueAt: 5000 })])
  }),

  contractCase("caps one endpoint's deliveries, so that its backlog hides nobody's", async ({ storage }) => {
    const backlog = Array.from({ length: 30 }, (_, n) =>
      delivery({ id: `del_a${10 + n}`, endpointId: 'ep_a', dueAt: n }),
    )
    const others = ['b', 'c'].map((name) => delivery({ id: `del_${name}`, endpointId: `ep_${name}`, dueAt: 900 }))
    await addDeliveries(storage, ...backlog, ...others)
    const inFlight = new Map([
      ['ep_a', 1],
      ['ep_c', 3],
    ])
    const claimed = await claim(storage, { limit: 10, perEndpoint: 3, inFlight })
    assert.deepEqual(idsOf(claimed), ['del_a10', 'del_a11', 'del_b'])
  }),

  contractCase('locks and patches many', async ({ storage }) => {
    await addDeliveries(storage, delivery({ id: 'del_1' }), delivery({ id: 'del_2' }), delivery({ id: 'del_3' }))
    await storage.run(async ({ deliveries }) => {
      const locked = await deliveries.lockAll(['del_1', 'del_2', 'del_9'])
      assert.deepEqual(locked.map(({ id }) => id).sort(), ['del_1', 'del_2'])
      await deliveries.updateAll(['del_1', 'del_2'], { status: 'delivered', endedAt: 9, lastStatus: 204 })
      assert.equal((await deliveries.lock('t1', 'del_3'))?.status, 'pending')
      assert.equal(await deliveries.lock('t2', 'del_3'), null)
      await deliveries.update('del_3', { status: 'canceled', lastError: 'timeout' })
    })
    const list = await storage.read(({ deliveries }) => deliveries.list('t1', {}, { limit: 9, after: null }))
    assert.deepEqual(list, [
      delivery({ id: 'del_3', status: 'canceled', lastError: 'timeout' }),
      delivery({ id: 'del_2', status: 'delivered', endedAt: 9, lastStatus: 204 }),
      delivery({ id: 'del_1', status: 'delivered', endedAt: 9, lastStatus: 204 }),
    ])
  }),

  contractCase('filters the list', async ({ storage }) => {
    await addDeliveries(
      storage,
      delivery({ id: 'del_1', endpointId: 'ep_2' }),
      delivery({ id: 'del_2', messageId: 'msg_2' }),
      delivery({ id: 'del_3', eventType: 'key.revoked' }),
      delivery({ id: 'del_4', status: 'dead_letter' }),
      delivery({ id: 'del_5', tenantId: 't2' }),
    )
    const ids = (filter: object) =>
      storage
        .read(({ deliveries }) => deliveries.list('t1', filter, { limit: 9, after: null }))
        .then((rows) => rows.map(({ id }) => id))
    assert.deepEqual(await ids({}), ['del_4', 'del_3', 'del_2', 'del_1'])
    assert.deepEqual(await ids({ endpointId: 'ep_2', status: undefined }), ['del_1'])
    assert.deepEqual(await ids({ messageId: 'msg_2' }), ['del_2'])
    assert.deepEqual(await ids({ eventType: 'key.revoked' }), ['del_3'])
    assert.deepEqual(await ids({ status: 'dead_letter' }), ['del_4'])
    assert.deepEqual(await ids({ status: 'dead_letter', endpointId: 'ep_2' }), [])
  }),

  contractCase('releases and cancels what an endpoint has', async ({ storage }) => {
    await addDeliveries(
      storage,
      delivery({ id: 'del_1', status: 'held' }),
      delivery({ id: 'del_2', status: 'held', endpointId: 'ep_2' }),
      delivery({ id: 'del_3', status: 'pending', leaseToken: 'lease_1' }),
      delivery({ id: 'del_4', status: 'dead_letter' }),
    )
    await storage.run(({ deliveries }) => deliveries.releaseHeld('ep_1', 70))
    const get = (id: string) => storage.read(({ deliveries }) => deliveries.get('t1', id))
    assert.deepEqual(await get('del_1'), delivery({ id: 'del_1', status: 'pending', dueAt: 70 }))
    await storage.run(({ deliveries }) => deliveries.cancelAll('ep_1', 80))
    assert.deepEqual(await get('del_1'), delivery({ id: 'del_1', status: 'canceled', dueAt: 70, endedAt: 80 }))
    assert.deepEqual(
      await get('del_3'),
      delivery({ id: 'del_3', status: 'canceled', leaseToken: 'lease_1', endedAt: 80 }),
    )
    assert.deepEqual(await get('del_2'), delivery({ id: 'del_2', status: 'held', endpointId: 'ep_2' }))
    assert.deepEqual(await get('del_4'), delivery({ id: 'del_4', status: 'dead_letter' }))
  }),

  contractCase('logs attempts, the latest first', async ({ storage }) => {
    const rows = [1, 2, 10].map((number) => attempt({ number, responseBody: 'naïve 🪝 "quoted"' }))
    await storage.run(async ({ deliveries }) => {
      await deliveries.insertAttempts([])
      await deliveries.insertAttempts([...rows, attempt({ deliveryId: 'del_2', error: 'timeout', status: null })])
    })
    const list = (after: [number] | null) =>
      storage.read(({ deliveries }) => deliveries.attempts('del_1', { limit: 2, after }))
    assert.deepEqual(await list(null), [rows[2], rows[1]])
    assert.deepEqual(await list([2]), [rows[0]])
  }),

  contractCase('inserts thousands of deliveries at once', async ({ storage }) => {
    await addDeliveries(
      storage,
      ...Array.from({ length: 1200 }, (_, n) => delivery({ id: `del_${n}`, endpointId: `ep_${n}` })),
    )
    assert.equal((await claim(storage, { limit: 2000 })).deliveries.length, 1200)
  }),

  contractCase("leaves nothing when the host's transaction rolls back", async ({ storage, transaction }) => {
    const rollBack = new Error('roll back')
    const failed = transaction(async (tx) => {
      await storage.run(async ({ endpoints, messages, deliveries }) => {
        await endpoints.insert(endpoint())
        await messages.insertOrFind(message())
        await deliveries.insert([delivery()])
        await deliveries.insertAttempts([attempt()])
      }, tx)
      assert.deepEqual(await storage.read(({ messages }) => messages.get('t1', 'msg_1'), tx), message())
      throw rollBack
    })
    await assert.rejects(failed, rollBack)
    await storage.read(async ({ endpoints, messages, deliveries }) => {
      assert.equal(await endpoints.get('t1', 'ep_1'), null)
      assert.equal(await messages.get('t1', 'msg_1'), null)
      assert.equal(await deliveries.get('t1', 'del_1'), null)
      assert.deepEqual(await deliveries.attempts('del_1', { limit: 1, after: null }), [])
    })
  }),

  contractCase(
    "undoes joined work that fails and leaves the host's transaction usable",
    async ({ storage, transaction }) => {
      await transaction(async (tx) => {
        const failed = storage.run(async ({ messages }) => {
          await messages.insertOrFind(message())
          throw new Error('a sink refused')
        }, tx)
        await assert.rejects(failed, /a sink refused/)
        await storage.run(({ messages }) => messages.insertOrFind(message({ id: 'msg_2' })), tx)
      })
      const found = await storage.read(({ messages }) => messages.byIds(['msg_1', 'msg_2']))
      assert.deepEqual(
        found.map(({ id }) => id),
        ['msg_2'],
      )
    },
  ),
]

async function addDeliveries(storage: WebhooksStorage, ...rows: StoredDelivery[]): Promise<void> {
  await storage.run(({ deliveries }) => deliveries.insert(rows))
}

function claim(storage: WebhooksStorage, request: Partial<ClaimRequest> = {}): Promise<Claimed> {
  const whole: ClaimRequest = {
    now: 1000,
    dueBy: 1000,
    limit: 100,
    perEndpoint: 100,
    inFlight: new Map(),
    token: 'lease_1',
    leaseUntil: 5000,
    ...request,
  }
  return storage.run(({ deliveries }) => deliveries.claim(whole))
}

function idsOf(claimed: Claimed): string[] {
  return claimed.deliveries.map(({ id }) => id)
}

function endpoint(row: Partial<StoredEndpoint> = {}): StoredEndpoint {
  return {
    id: 'ep_1',
    tenantId: 't1',
    url: 'https://example.com/hooks',
    description: null,
    eventTypes: null,
    channels: null,
    metadata: {},
    enabled: true,
    disabledReason: null,
    secrets: [{ value: 'whsec_a', expiresAt: null }],
    createdAt: 1_767_225_600_000,
    updatedAt: 1_767_225_600_000,
    ...row,
  }
}

function message(row: Partial<StoredMessage> = {}): StoredMessage {
  return {
    id: 'msg_1',
    tenantId: 't1',
    type: 'key.created',
    body: '{"type":"key.created","data":{"name":"Ünïcode 🪝"}}',
    channels: null,
    idempotencyKey: null,
    fingerprint: 'f',
    deliveries: 1,
    createdAt: 1_767_225_600_000,
    ...row,
  }
}

function delivery(row: Partial<StoredDelivery> = {}): StoredDelivery {
  return {
    id: 'del_1',
    tenantId: 't1',
    messageId: 'msg_1',
    endpointId: 'ep_1',
    eventType: 'key.created',
    status: 'pending',
    attempts: 0,
    step: 0,
    dueAt: 900,
    leaseToken: null,
    lastStatus: null,
    lastError: null,
    createdAt: 1_767_225_600_000,
    endedAt: null,
    ...row,
  }
}

function attempt(row: Partial<Attempt> = {}): Attempt {
  return {
    deliveryId: 'del_1',
    number: 1,
    url: 'https://example.com/hooks',
    address: '93.184.216.34',
    requestHeaders: { 'webhook-id': 'msg_1' },
    status: 200,
    responseHeaders: { 'content-type': 'text/plain' },
    responseBody: 'ok',
    responseTruncated: false,
    error: null,
    detail: null,
    startedAt: 1_767_225_600_000,
    durationMs: 87,
    ...row,
  }
}
