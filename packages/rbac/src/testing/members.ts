import assert from 'node:assert/strict'
import { type ContractCase, contractCase } from '@org/core/testing'
import type { Member } from '../members/schema.js'
import type { RbacStorage } from '../storage/port.js'

export const memberContract: readonly ContractCase<RbacStorage>[] = [
  contractCase('adds a member once for each tenant and user', async ({ storage }) => {
    const first = member({ id: 'mem_1' })
    const added = await storage.run(async ({ members }) => [
      await members.insertOrFind(first),
      await members.insertOrFind(member({ id: 'mem_2' })),
      await members.insertOrFind(member({ id: 'mem_3', userId: 'Ann' })),
      await members.insertOrFind(member({ id: 'mem_4', tenantId: 'T1' })),
    ])
    assert.deepEqual(added, [null, first, null, null])
    const found = (tenantId: string, userId: string, lock = false) =>
      storage.run(({ members }) => members.find(tenantId, userId, { lock }))
    assert.deepEqual(await found('t1', 'ann'), first)
    assert.deepEqual(await found('t1', 'ann', true), first)
    assert.equal((await found('t1', 'Ann'))?.id, 'mem_3')
    assert.equal(await found('t1', 'bob', true), null)
  }),

  contractCase('suspends and removes one member', async ({ storage }) => {
    await add(
      storage,
      ...[member({ id: 'mem_1' }), member({ id: 'mem_2', userId: 'bob' }), member({ id: 'mem_3', tenantId: 't2' })],
    )
    await storage.run(({ members }) => members.setStatus('t1', 'ann', 'suspended'))
    const suspended = (tenantId: string, lock = false) =>
      storage.run(({ members }) => members.suspended(tenantId, ['ann', 'bob', 'cyd'], { lock }))
    assert.deepEqual(
      [await suspended('t1'), await suspended('t1', true), await suspended('t2')],
      [['ann'], ['ann'], []],
    )
    assert.deepEqual(await storage.read(({ members }) => members.suspended('t1', [])), [])
    await storage.run(({ members }) => members.remove('t1', 'ann'))
    assert.deepEqual(await suspended('t1'), [])
    const any = (tenantId: string) => storage.run(({ members }) => members.any(tenantId))
    assert.deepEqual([await any('t1'), await any('t2'), await any('T1')], [true, true, false])
    const left = await storage.read(({ members }) => members.ofUser('ann', { limit: 10, after: null }))
    assert.deepEqual(left, [member({ id: 'mem_3', tenantId: 't2' })])
    assert.equal(await storage.run(({ members }) => members.insertOrFind(member({ id: 'mem_4' }))), null)
  }),

  contractCase('lists members by status, and tenants by user, the newest first', async ({ storage }) => {
    const users = ['ann', 'bob', 'cyd']
    await add(storage, ...users.map((userId, i) => member({ id: `mem_${i}`, userId })))
    await add(storage, member({ id: 'mem_8', tenantId: 't2' }), member({ id: 'mem_9', tenantId: 't3' }))
    await storage.run(({ members }) => members.setStatus('t1', 'bob', 'suspended'))
    const list = (status?: Member['status'], after: [string] | null = null, limit = 10) =>
      storage.read(async ({ members }) =>
        (await members.list('t1', { status }, { limit, after })).map(({ userId }) => userId),
      )
    assert.deepEqual(await list(), ['cyd', 'bob', 'ann'])
    assert.deepEqual(await list('active'), ['cyd', 'ann'])
    assert.deepEqual(await list('suspended'), ['bob'])
    assert.deepEqual(await list(undefined, ['mem_2'], 1), ['bob'])
    const of = (after: [string] | null) =>
      storage.read(async ({ members }) =>
        (await members.ofUser('ann', { limit: 2, after })).map(({ tenantId }) => tenantId),
      )
    assert.deepEqual(await of(null), ['t3', 't2'])
    assert.deepEqual(await of(['mem_8']), ['t1'])
  }),
]

function member(fields: Partial<Member>): Member {
  const who = { id: 'mem_0', tenantId: 't1', userId: 'ann' }
  return { ...who, status: 'active', createdAt: 1_767_225_600_123, ...fields }
}

function add(storage: RbacStorage, ...rows: Member[]): Promise<void> {
  return storage.run(async ({ members }) => {
    for (const row of rows) assert.equal(await members.insertOrFind(row), null)
  })
}
