/**
 * The contract that every storage of @org/rbac keeps, for whoever writes an adapter. It knows no test runner:
 *
 * ```ts
 * for (const { name, run } of storageContract) it(name, () => run(open))
 * ```
 */
import assert from 'node:assert/strict'
import type { Tx } from '@org/core'
import { type ContractCase, contractCase } from '@org/core/testing'
import type { Assignment } from './assignments/schema.js'
import type { AuditEntry } from './audit/schema.js'
import type { RbacStorage } from './storage/port.js'

export { fakeClock } from '@org/core/testing'

export const storageContract: readonly ContractCase<RbacStorage>[] = [
  contractCase('adds an assignment once for each member and role', async ({ storage }) => {
    const first = assignment({ id: 'asg_1' })
    const twin = assignment({ id: 'asg_2' })
    const added = await storage.run(async ({ assignments }) => [
      await assignments.insertOrFind(first),
      await assignments.insertOrFind(twin),
    ])
    assert.deepEqual(added, [null, first])
    assert.deepEqual(await ofUser(storage, 't1', 'ann'), [first])
  }),

  contractCase('tells tenants and members apart, and letters by case', async ({ storage }) => {
    const rows = [
      assignment({ id: 'asg_1' }),
      assignment({ id: 'asg_2', tenantId: 'T1' }),
      assignment({ id: 'asg_3', userId: 'Ann' }),
      assignment({ id: 'asg_4', tenantId: 't2' }),
    ]
    for (const row of rows) assert.equal(await add(storage, row), true)
    for (const row of rows) assert.deepEqual(await ofUser(storage, row.tenantId, row.userId), [row])
    assert.deepEqual(await ofUser(storage, 't3', 'ann'), [])
  }),

  contractCase('finds members by their roles, and one assignment', async ({ storage }) => {
    const owner = assignment({ id: 'asg_1' })
    const reader = assignment({ id: 'asg_2', userId: 'bob', role: 'read_only' })
    await add(storage, owner, reader, assignment({ id: 'asg_3', tenantId: 't2' }))
    await storage.run(async ({ assignments, tenants }) => {
      await tenants.lock('t1')
      await tenants.lock('t1')
      assert.deepEqual(await assignments.ofRoles('t1', ['owner', 'read_only'], { lock: true }), [owner, reader])
      assert.deepEqual(await assignments.ofRoles('t1', ['read_only']), [reader])
      assert.deepEqual(await assignments.ofRoles('t1', []), [])
      assert.deepEqual(await assignments.ofUser('t1', 'bob', { lock: true }), [reader])
      assert.deepEqual(await assignments.lock('t1', 'bob', 'read_only'), reader)
      assert.equal(await assignments.lock('t1', 'bob', 'owner'), null)
    })
  }),

  contractCase('removes one assignment, and may then write it again', async ({ storage }) => {
    const other = assignment({ id: 'asg_2', role: 'admin' })
    await add(storage, assignment({ id: 'asg_1' }), other)
    await storage.run(async ({ assignments }) => {
      await assignments.remove('asg_1')
      await assignments.remove('asg_9')
    })
    assert.deepEqual(await ofUser(storage, 't1', 'ann'), [other])
    assert.equal(await add(storage, assignment({ id: 'asg_3' })), true)
  }),

  contractCase('lists assignments by filter, the newest first, slice by slice', async ({ storage }) => {
    const rows = ['ann', 'bob', 'cyd'].map((userId, i) => assignment({ id: `asg_${i}`, userId }))
    await add(storage, ...rows, assignment({ id: 'asg_9', userId: 'dan', role: 'admin' }))
    await add(storage, assignment({ id: 'asg_8', tenantId: 't2' }))
    const list = (filter: object, after: [string] | null, limit = 10) =>
      storage.read(async ({ assignments }) =>
        (await assignments.list('t1', filter, { limit, after })).map(({ id }) => id),
      )
    assert.deepEqual(await list({}, null), ['asg_9', 'asg_2', 'asg_1', 'asg_0'])
    assert.deepEqual(await list({}, ['asg_2'], 1), ['asg_1'])
    assert.deepEqual(await list({ role: 'owner' }, null), ['asg_2', 'asg_1', 'asg_0'])
    assert.deepEqual(await list({ userId: 'bob', role: undefined }, null), ['asg_1'])
    assert.deepEqual(await list({ userId: 'bob', role: 'admin' }, null), [])
  }),

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

  contractCase('keeps all of a transaction or none of it', async ({ storage, transaction }) => {
    const write = (tx?: Tx) =>
      storage.run(async ({ tenants, assignments, audit }) => {
        await tenants.lock('t1')
        await assignments.insertOrFind(assignment({ id: 'asg_1' }))
        await audit.insertOrFind(entry({ id: 'aud_1' }))
        if (!tx) throw new Error('undo')
      }, tx)
    const isEmpty = async () => {
      assert.deepEqual(await ofUser(storage, 't1', 'ann'), [])
      assert.deepEqual(await entries(storage, {}), [])
    }
    await assert.rejects(write(), /undo/)
    await isEmpty()
    const undone = transaction(async (tx) => {
      await write(tx)
      assert.equal(storage.owns(tx), true)
      assert.equal((await ofUser(storage, 't1', 'ann', tx)).length, 1)
      throw new Error('undo')
    })
    await assert.rejects(undone, /undo/)
    await isEmpty()
    await transaction((tx) => write(tx))
    assert.equal((await ofUser(storage, 't1', 'ann')).length, 1)
    assert.equal((await entries(storage, {})).length, 1)
  }),
]

function assignment(fields: Partial<Assignment>): Assignment {
  return { id: 'asg_0', tenantId: 't1', userId: 'ann', role: 'owner', createdAt: 1_767_225_600_123, ...fields }
}

function entry(fields: Partial<AuditEntry>): AuditEntry {
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

async function add(storage: RbacStorage, ...rows: Assignment[]): Promise<boolean> {
  return storage.run(async ({ assignments }) => {
    for (const row of rows) if (await assignments.insertOrFind(row)) return false
    return true
  })
}

function ofUser(storage: RbacStorage, tenantId: string, userId: string, tx?: Tx): Promise<Assignment[]> {
  return storage.read(({ assignments }) => assignments.ofUser(tenantId, userId), tx)
}

async function addEntries(storage: RbacStorage, ...rows: AuditEntry[]): Promise<void> {
  await storage.run(async ({ audit }) => {
    for (const row of rows) await audit.insertOrFind(row)
  })
}

function entries(storage: RbacStorage, filter: object, tenantId = 't1'): Promise<AuditEntry[]> {
  return storage.read(({ audit }) => audit.list(tenantId, filter, { limit: 100, after: null }))
}

async function idsOf(storage: RbacStorage, filter: object, tenantId?: string): Promise<string[]> {
  return (await entries(storage, filter, tenantId)).map(({ id }) => id)
}
