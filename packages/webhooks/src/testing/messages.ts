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

  contractCase('finds what a message takes the place of, and what is still to be fanned out', async ({ storage }) => {
    const rows = [
      message({ coalesceKey: 'c' }),
      message({ id: 'msg_2', coalesceKey: 'c', fanOutAfter: '' }),
      message({ id: 'msg_3', coalesceKey: 'd' }),
      message({ id: 'msg_4', coalesceKey: 'c', tenantId: 't2', fanOutAfter: 'ep_1' }),
    ]
    await storage.run(({ messages }) => messages.insert(rows))
    await storage.run(async ({ messages }) => {
      assert.deepEqual(await messages.coalesced(message({ id: 'msg_9', coalesceKey: 'c' })), ['msg_1', 'msg_2'])
      assert.deepEqual(await messages.coalesced(message({ coalesceKey: 'c' })), ['msg_2'])
      assert.deepEqual(await messages.toFanOut(9), [rows[1], rows[3]])
      await messages.update('msg_2', { fanOutAfter: null })
      assert.deepEqual(
        (await messages.toFanOut(1)).map(({ id }) => id),
        ['msg_4'],
      )
      await messages.update('msg_1', { body: null })
      assert.equal((await messages.get('t1', 'msg_1'))?.body, null)
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
