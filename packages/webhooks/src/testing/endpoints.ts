/** Endpoints, and what the engine knows of them. */
import assert from 'node:assert/strict'
import { type ContractCase, contractCase } from '@org/core/testing'
import type { WebhooksStorage } from '../storage/port.js'
import { endpoint } from './fixtures.js'

export const endpointCases: readonly ContractCase<WebhooksStorage>[] = [
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
      const [subscriber, ...rest] = await endpoints.subscribers('t1', { limit: 9, after: null })
      assert.deepEqual([subscriber?.id, subscriber?.eventTypes, subscriber?.channels], ['ep_1', ['key.*'], ['eu']])
      assert.deepEqual(rest, [])
      const patch = {
        enabled: false,
        disabledReason: 'gone',
        unverified: true,
        secrets: [{ value: 'whsec_b', expiresAt: 7 }],
      } as const
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

  contractCase('pages through the subscribers of a tenant in the order of their ids', async ({ storage }) => {
    await storage.run(async ({ endpoints }) => {
      for (const id of ['ep_3', 'ep_1', 'ep_2'])
        await endpoints.insert(endpoint({ id, filter: { amount: { $gt: 1 } } }))
      await endpoints.insert(endpoint({ id: 'ep_0', tenantId: 't2' }))
    })
    const page = async (after: [string] | null) => {
      const rows = await storage.read(({ endpoints }) => endpoints.subscribers('t1', { limit: 2, after }))
      assert.deepEqual(rows[0]?.filter, { amount: { $gt: 1 } })
      return rows.map(({ id }) => id)
    }
    assert.deepEqual(await page(null), ['ep_1', 'ep_2'])
    assert.deepEqual(await page(['ep_2']), ['ep_3'])
  }),

  contractCase('keeps the health of each endpoint, from its first day to its last', async ({ storage }) => {
    await storage.run(async ({ endpoints }) => {
      for (const id of ['ep_1', 'ep_2', 'ep_3']) await endpoints.insert(endpoint({ id }))
    })
    const fresh = { tenantId: 't1', failures: 0, failingSince: null, openUntil: null, opened: 0, bucketAt: 0 }
    const ill = {
      endpointId: 'ep_2',
      failures: 3,
      failingSince: 7,
      openUntil: 9,
      opened: 1,
      bucketAt: 1_767_225_600_000,
    }
    await storage.run(async ({ endpoints }) => {
      assert.deepEqual(await endpoints.health(['ep_1', 'ep_9']), [{ endpointId: 'ep_1', ...fresh }])
      const locked = await endpoints.lockHealth(['ep_1', 'ep_2'])
      assert.deepEqual(locked.map(({ endpointId }) => endpointId).sort(), ['ep_1', 'ep_2'])
      const waited = await endpoints.awaitHealth(['ep_2', 'ep_1'])
      assert.deepEqual(waited.map(({ endpointId }) => endpointId).sort(), ['ep_1', 'ep_2'])
      await endpoints.updateHealth([])
      await endpoints.updateHealth([ill])
      await endpoints.remove('ep_3')
    })
    const after = await storage.read(({ endpoints }) => endpoints.health(['ep_1', 'ep_2', 'ep_3']))
    const byId = after.sort((a, b) => (a.endpointId < b.endpointId ? -1 : 1))
    assert.deepEqual(byId, [
      { endpointId: 'ep_1', ...fresh },
      { ...ill, tenantId: 't1' },
    ])
  }),
]
