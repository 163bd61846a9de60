/** Messages, and what is left of them when the host changes its mind. */
import assert from 'node:assert/strict'
import { type ContractCase, contractCase } from '@org/core/testing'
import type { StoredMessage } from '../messages/schema.js'
import type { WebhooksStorage } from '../storage/port.js'
import { attempt, delivery, endpoint, message } from './fixtures.js'

export const messageCases: readonly ContractCase<WebhooksStorage>[] = [
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

  contractCase("hands out each tenant's oldest message that is still to be fanned out", async ({ storage }) => {
    const rows = [
      message(),
      message({ id: 'msg_2', fanOutAfter: '' }),
      message({ id: 'msg_3', fanOutAfter: '' }),
      message({ id: 'msg_4', tenantId: 't2', fanOutAfter: 'ep_1' }),
    ]
    await storage.run(({ messages }) => messages.insert([...rows].reverse()))
    await storage.run(async ({ messages }) => {
      const next = async (limit: number) => (await messages.toFanOut(limit)).map(({ id }) => id)
      const waits = async () => [
        await messages.anyToFanOut('t1'),
        await messages.anyToFanOut('t2'),
        await messages.anyToFanOut('t3'),
      ]
      assert.deepEqual(await messages.toFanOut(9), [rows[1], rows[3]])
      assert.deepEqual(await next(1), ['msg_2'])
      assert.deepEqual(await waits(), [true, true, false])
      await messages.update('msg_2', { fanOutAfter: 'ep_1' })
      assert.deepEqual(await next(9), ['msg_2', 'msg_4'])
      await messages.update('msg_2', { fanOutAfter: null })
      await messages.update('msg_4', { fanOutAfter: null })
      assert.deepEqual(await next(9), ['msg_3'])
      assert.deepEqual(await waits(), [true, false, false])
      await messages.update('msg_1', { body: null })
      assert.equal((await messages.get('t1', 'msg_1'))?.body, null)
    })
  }),

  contractCase('fans out no further what a message takes the place of', async ({ storage }) => {
    const others = [
      message({ coalesceKey: 'c', fanOutAfter: '' }),
      message({ id: 'msg_2', coalesceKey: 'c', fanOutAfter: 'ep_7' }),
      message({ id: 'msg_3', coalesceKey: 'C', fanOutAfter: '' }),
      message({ id: 'msg_4', coalesceKey: 'c', tenantId: 't2', fanOutAfter: '' }),
      message({ id: 'msg_5', fanOutAfter: '' }),
    ]
    const own = message({ id: 'msg_6', coalesceKey: 'c', fanOutAfter: '' })
    await storage.run(({ messages }) => messages.insert([...others, own]))
    await storage.run(async ({ messages }) => {
      await messages.stopFanOut(own)
      await messages.stopFanOut(message({ id: 'msg_9', coalesceKey: 'd' }))
    })
    const waits = async ({ tenantId, id }: StoredMessage) =>
      (await storage.read(({ messages }) => messages.get(tenantId, id)))?.fanOutAfter
    const left: unknown[] = []
    for (const row of [...others, own]) left.push(await waits(row))
    assert.deepEqual(left, [null, null, '', '', '', ''])
  }),

  contractCase('walks through what was published to a tenant, by time and id', async ({ storage }) => {
    const published = [
      message({ id: 'msg_1', createdAt: 20 }),
      message({
        id: 'msg_2',
        createdAt: 10,
        channels: ['eu'],
        orderingKey: 'k',
        coalesceKey: 'c',
        test: true,
        fanOutAfter: '',
      }),
      message({ id: 'msg_3', createdAt: 20, body: null }),
      message({ id: 'msg_4', createdAt: 20 }),
      message({ id: 'msg_5', createdAt: 30 }),
      message({ id: 'msg_6', createdAt: 15, tenantId: 't2' }),
    ]
    await storage.run(({ messages }) => messages.insert(published))
    await storage.read(async ({ messages }) => {
      const upTo = { createdAt: 20, id: 'msg_3' }
      const query = { tenantId: 't1', since: null, until: null, upTo }
      const ids = (part: object, after: { createdAt: number; id: string } | null, limit = 9) =>
        messages.published({ ...query, ...part }, { limit, after }).then((rows) => rows.map(({ id }) => id))
      assert.deepEqual(await ids({}, null), ['msg_2', 'msg_1', 'msg_3'])
      assert.deepEqual(await ids({}, null, 2), ['msg_2', 'msg_1'])
      assert.deepEqual(await ids({}, { createdAt: 20, id: 'msg_1' }), ['msg_3'])
      assert.deepEqual(await ids({ since: 20 }, null), ['msg_1', 'msg_3'])
      assert.deepEqual(await ids({ until: 20 }, null), ['msg_2'])
      const [first] = await messages.published(query, { limit: 1, after: null })
      const { tenantId: _, body: __, idempotencyKey: ___, fingerprint: ____, ...light } = published[1] ?? message()
      assert.deepEqual(first, light)
      assert.deepEqual([await messages.countPublished(query, 9), await messages.countPublished(query, 2)], [3, 2])
      assert.deepEqual(await messages.lastPublished('t1'), { createdAt: 30, id: 'msg_5' })
      assert.equal(await messages.lastPublished('t3'), null)
      assert.deepEqual((await messages.withPayload(['msg_1', 'msg_3', 'msg_9'])).sort(), ['msg_1'])
      assert.deepEqual(await messages.withPayload([]), [])
    })
  }),

  contractCase('finds what has ended long ago, and forgets it', async ({ storage }) => {
    const ids = ['msg_1', 'msg_2', 'msg_3', 'msg_4', 'msg_5', 'msg_6', 'msg_7']
    const young = { createdAt: 100 }
    const ended = { status: 'delivered', endedAt: 50 } as const
    await storage.run(async ({ messages, deliveries }) => {
      await messages.insert(ids.map((id) => message({ id, createdAt: 10, ...(id === 'msg_7' && young) })))
      await messages.update('msg_2', { fanOutAfter: '' })
      await messages.update('msg_6', { body: null })
      await deliveries.insert([
        delivery({ id: 'del_1', ...ended }),
        delivery({ id: 'del_2', ...ended, status: 'canceled' }),
        delivery({ id: 'del_3', messageId: 'msg_3', ...ended, status: 'dead_letter' }),
        delivery({ id: 'del_4', messageId: 'msg_4', ...ended, endedAt: 100 }),
        delivery({ id: 'del_5', messageId: 'msg_5', ...ended, leaseUntil: 100 }),
      ])
      await deliveries.insertAttempts([
        attempt(),
        attempt({ number: 2, error: 'transform_failed', detail: 'it said …' }),
        attempt({ deliveryId: 'del_3', detail: 'kept' }),
      ])
    })
    await storage.run(async ({ retention, messages, deliveries }) => {
      const request = { after: '', limit: 9, before: 100, withPayload: false }
      assert.deepEqual(await retention.ended(request), { messageIds: ['msg_1', 'msg_6'], last: 'msg_6' })
      const some = ['msg_1', 'msg_2', 'msg_3', 'msg_4', 'msg_5', 'msg_6', 'msg_9']
      assert.deepEqual((await retention.endedAmong(some, 100)).sort(), ['msg_1', 'msg_6'])
      const withPayload = { ...request, withPayload: true }
      assert.deepEqual(await retention.ended(withPayload), { messageIds: ['msg_1'], last: 'msg_6' })
      assert.deepEqual(await retention.ended({ ...request, limit: 2 }), { messageIds: ['msg_1'], last: 'msg_2' })
      assert.deepEqual(await retention.ended({ ...request, after: 'msg_6' }), { messageIds: [], last: null })
      assert.deepEqual([...(await retention.countsOf(['msg_1', 'msg_6']))], [['msg_1', 2]])
      assert.deepEqual((await retention.deliveryIdsOf(['msg_1', 'msg_6'], 9)).sort(), ['del_1', 'del_2'])
      assert.equal((await retention.deliveryIdsOf(['msg_1', 'msg_3'], 2)).length, 2)
      assert.equal(await retention.forgetPayloads(['msg_1', 'msg_6']), 1)
      assert.equal((await messages.get('t1', 'msg_1'))?.body, null)
      const attempts = await deliveries.attempts('del_1', { limit: 9, after: null })
      assert.deepEqual(
        attempts.map(({ responseBody, detail }) => [responseBody, detail]),
        [
          [null, null],
          [null, null],
        ],
      )
      assert.equal((await deliveries.attempts('del_3', { limit: 1, after: null }))[0]?.detail, 'kept')
      assert.deepEqual(await retention.removeDeliveries(['del_1', 'del_2']), { deliveries: 2, attempts: 2 })
      assert.equal(await retention.removeMessages(['msg_1', 'msg_9']), 1)
      const left = await messages.byIds(ids)
      assert.deepEqual(left.map(({ id }) => id).sort(), ids.slice(1))
    })
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
