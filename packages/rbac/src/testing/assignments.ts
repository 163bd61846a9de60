import assert from 'node:assert/strict'
import type { Tx } from '@org/core'
import { type ContractCase, contractCase } from '@org/core/testing'
import type { Assignment } from '../assignments/schema.js'
import type { RbacStorage } from '../storage/port.js'

export const assignmentContract: readonly ContractCase<RbacStorage>[] = [
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

  contractCase('finds assignments by role, by members and by tenants', async ({ storage }) => {
    const owner = assignment({ id: 'asg_1' })
    const reader = assignment({ id: 'asg_2', userId: 'bob', role: 'read_only' })
    const elsewhere = assignment({ id: 'asg_3', tenantId: 't2' })
    await add(storage, owner, reader, elsewhere)
    await storage.run(async ({ assignments, tenants }) => {
      await tenants.touch('t1')
      await tenants.touch('t1')
      assert.deepEqual(await assignments.ofRoles('t1', ['owner', 'read_only'], { lock: true }), [owner, reader])
      assert.deepEqual(await assignments.ofRoles('t1', ['read_only']), [reader])
      assert.deepEqual(await assignments.ofRoles('t1', []), [])
      assert.deepEqual(await assignments.ofUser('t1', 'bob', { lock: true }), [reader])
      assert.deepEqual(await assignments.ofUsers('t1', ['ann', 'bob', 'cyd']), [owner, reader])
      assert.deepEqual(await assignments.ofUsers('t2', []), [])
      assert.deepEqual(await assignments.inTenants('ann', ['t2', 't3']), [elsewhere])
    })
  }),

  contractCase('keeps a role on each thing apart, and its end', async ({ storage }) => {
    const whole = assignment({ id: 'asg_1' })
    const one = assignment({ id: 'asg_2', on: { resource: 'projects', id: 'p1' } })
    const other = assignment({ id: 'asg_3', on: { resource: 'projects', id: 'P1' }, expiresAt: 7 })
    const remade = assignment({ id: 'asg_4', roleId: 'rol_2' })
    assert.equal(await add(storage, whole, one, other, remade), true)
    await storage.run(({ assignments }) => assignments.setExpiry('asg_2', 1_767_225_600_456))
    await storage.run(({ assignments }) => assignments.setExpiry('asg_3', null))
    const now = [whole, { ...one, expiresAt: 1_767_225_600_456 }, { ...other, expiresAt: null }, remade]
    assert.deepEqual(await ofUser(storage, 't1', 'ann'), now)
    const twin = { ...one, id: 'asg_9' }
    assert.deepEqual(await storage.run(({ assignments }) => assignments.insertOrFind(twin)), now[1])
  }),

  contractCase('counts how often a tenant was touched, and keeps its name', async ({ storage }) => {
    const seen = () =>
      storage.read(async ({ tenants }) => [await tenants.version('t1'), await tenants.find('t1')] as const)
    assert.deepEqual(await seen(), [0, null])
    await storage.run(({ tenants }) => tenants.touch('t1'))
    assert.deepEqual(await seen(), [1, { id: 't1', name: null, createdAt: null }])
    await storage.run(async ({ tenants }) => {
      await tenants.touch('t1')
      await tenants.touch('t2')
      await tenants.update('t1', { name: 'Acme', createdAt: 1_767_225_600_123 })
    })
    assert.deepEqual(await seen(), [2, { id: 't1', name: 'Acme', createdAt: 1_767_225_600_123 }])
    const named = await storage.read(({ tenants }) => tenants.named(['t1', 't2', 't3']))
    assert.deepEqual(named.map(({ id, name }) => [id, name]).sort(), [
      ['t1', 'Acme'],
      ['t2', null],
    ])
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
]

export function assignment(fields: Partial<Assignment>): Assignment {
  const { role = 'owner' } = fields
  const who = { id: 'asg_0', tenantId: 't1', userId: 'ann' }
  return { ...who, role, roleId: role, on: null, expiresAt: null, createdAt: 1_767_225_600_123, ...fields }
}

export async function add(storage: RbacStorage, ...rows: Assignment[]): Promise<boolean> {
  return storage.run(async ({ assignments }) => {
    for (const row of rows) if (await assignments.insertOrFind(row)) return false
    return true
  })
}

export function ofUser(storage: RbacStorage, tenantId: string, userId: string, tx?: Tx): Promise<Assignment[]> {
  return storage.read(({ assignments }) => assignments.ofUser(tenantId, userId), tx)
}
