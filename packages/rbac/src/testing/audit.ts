import assert from 'node:assert/strict'
import { type ContractCase, contractCase } from '@org/core/testing'
import type { AuditEntry } from '../audit/schema.js'
import type { RbacStorage } from '../storage/port.js'

export const auditContract: readonly ContractCase<RbacStorage>[] = [
  contractCase('keeps an entry as it is', async ({ storage }) => {
    const full = entry({
      id: 'aud_1',
      eventId: 'evt_1',
      resource: { type: 'key', id: 'key_1' },
      outcome: 'denied',
      data: { nested: { list: [1, null, 'é 🎉'], yes: true } },
      before: { name: 'old' },
      after: {},
      ip: '2001:db8::1',
      userAgent: 'curl/8',
      requestId: 'req-1',
    })
    await addEntries(storage, full, entry({ id: 'aud_0' }))
    assert.deepEqual(await entries(storage, {}), [full, entry({ id: 'aud_0' })])
  }),

  contractCase('records an event once in a tenant', async ({ storage }) => {
    const first = entry({ id: 'aud_1', eventId: 'evt_1', resource: { type: 'key', id: 'key_1' } })
    await addEntries(storage, first)
    const again = entry({ id: 'aud_2', eventId: 'evt_1' })
    assert.deepEqual(await storage.run(({ audit }) => audit.insertOrFind(again)), first)
    await addEntries(storage, entry({ id: 'aud_3', eventId: 'evt_1', tenantId: 't2' }))
    await addEntries(storage, entry({ id: 'aud_4' }), entry({ id: 'aud_5' }))
    assert.deepEqual(await idsOf(storage, {}), ['aud_5', 'aud_4', 'aud_1'])
    assert.deepEqual(await idsOf(storage, {}, 't2'), ['aud_3'])
  }),

  contractCase('filters the log by actor, action, resource and time', async ({ storage }) => {
    const key = (id: string) => ({ type: 'key', id })
    await addEntries(
      storage,
      entry({ id: 'aud_1', time: 100, actor: { type: 'user', id: 'ann' }, action: 'key.created', resource: key('k1') }),
      entry({ id: 'aud_2', time: 200, actor: { type: 'user', id: 'bob' }, action: 'key.created', resource: key('k2') }),
      entry({ id: 'aud_3', time: 300, actor: { type: 'user', id: 'ann' }, action: 'key.revoked', resource: key('k1') }),
      entry({ id: 'aud_4', time: 400, resource: { type: 'plan', id: 'k1' } }),
    )
    assert.deepEqual(await idsOf(storage, { user: 'ann' }), ['aud_3', 'aud_1'])
    assert.deepEqual(await idsOf(storage, { action: 'key.created' }), ['aud_2', 'aud_1'])
    assert.deepEqual(await idsOf(storage, { resourceType: 'key' }), ['aud_3', 'aud_2', 'aud_1'])
    assert.deepEqual(await idsOf(storage, { resourceType: 'key', resourceId: 'k1' }), ['aud_3', 'aud_1'])
    assert.deepEqual(await idsOf(storage, { resourceId: 'k1' }), ['aud_4', 'aud_3', 'aud_1'])
    assert.deepEqual(await idsOf(storage, { from: 200, to: 400 }), ['aud_3', 'aud_2'])
    assert.deepEqual(await idsOf(storage, { user: 'ann', action: 'key.revoked', from: 301 }), [])
  }),

  contractCase('pages through entries of one moment', async ({ storage }) => {
    await addEntries(
      storage,
      entry({ id: 'aud_3', time: 1 }),
      entry({ id: 'aud_1', time: 2 }),
      entry({ id: 'aud_2', time: 2 }),
    )
    const page = (after: [number, string] | null) =>
      storage.read(async ({ audit }) => (await audit.list('t1', {}, { limit: 1, after })).map(({ id }) => id))
    assert.deepEqual(await page(null), ['aud_2'])
    assert.deepEqual(await page([2, 'aud_2']), ['aud_1'])
    assert.deepEqual(await page([2, 'aud_1']), ['aud_3'])
    assert.deepEqual(await page([1, 'aud_3']), [])
  }),
]

export function entry(fields: Partial<AuditEntry>): AuditEntry {
  const origin = { ip: null, userAgent: null, requestId: null }
  const change = { data: {}, before: null, after: null }
  const what = { action: 'app.started', resource: null, outcome: 'success' } as const
  const actor = { type: 'system', id: 'system' } as const
  return {
    id: 'aud_0',
    eventId: null,
    tenantId: 't1',
    time: 1_767_225_600_123,
    actor,
    ...what,
    ...change,
    ...origin,
    ...fields,
  }
}

async function addEntries(storage: RbacStorage, ...rows: AuditEntry[]): Promise<void> {
  await storage.run(async ({ audit }) => {
    for (const row of rows) await audit.insertOrFind(row)
  })
}

export function entries(storage: RbacStorage, filter: object, tenantId = 't1'): Promise<AuditEntry[]> {
  return storage.read(({ audit }) => audit.list(tenantId, filter, { limit: 100, after: null }))
}

async function idsOf(storage: RbacStorage, filter: object, tenantId?: string): Promise<string[]> {
  return (await entries(storage, filter, tenantId)).map(({ id }) => id)
}
