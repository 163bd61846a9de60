import assert from 'node:assert/strict'
import { type ContractCase, contractCase } from '@org/core/testing'
import type { Policy, PolicyDraft } from '../policies/schema.js'
import type { RbacStorage } from '../storage/port.js'

const author = { type: 'user', id: 'olga' } as const

function policy(fields: Partial<Policy>): Policy {
  const made = { kind: 'publish', basedOn: 0, note: null, author, createdAt: 1_767_225_600_123 } as const
  return { tenantId: 't1', version: 1, ...made, roles: [], tests: [], ...fields }
}

function draft(fields: Partial<PolicyDraft>): PolicyDraft {
  const document = { roles: { editor: { name: 'Éditeur 🎉', permissions: ['keys:read'] } } }
  return { tenantId: 't1', document, basedOn: 3, etag: 'one', author, updatedAt: 1_767_225_600_123, ...fields }
}

export const policyContract: readonly ContractCase<RbacStorage>[] = [
  contractCase('keeps each version of a policy as it is, and finds the highest', async ({ storage }) => {
    const role = {
      ...{ id: 'rol_1', key: 'editor', name: 'Editor', description: null, custom: true },
      ...{ inherits: ['viewer'], permissions: ['keys:read'] },
      rules: [
        { effect: 'deny' as const, permission: 'keys:*', when: { ownerId: { $ne: { var: 'userId' as const } } } },
      ],
    }
    const test = { name: 'é', roles: ['editor'], permission: 'keys:read', expect: 'allow' as const }
    const first = policy({ roles: [role], tests: [test], note: 'first' })
    // Ten comes after nine: versions are numbers.
    const rest = [9, 10].map((version) => policy({ version, kind: 'rollback', basedOn: 1 }))
    const other = policy({ tenantId: 't2', version: 11 })
    await storage.run(async ({ policies }) => {
      assert.equal(await policies.current('t1'), null)
      assert.equal(await policies.latest('t1', { lock: true }), null)
      for (const one of [first, ...rest, other]) await policies.insert(one)
      assert.deepEqual(await policies.find('t1', 1), first)
      assert.equal(await policies.find('t1', 2), null)
      assert.equal(await policies.find('t1', 11), null)
      assert.deepEqual(await policies.latest('t1'), rest[1])
      assert.deepEqual(await policies.current('t1'), { version: 10, roles: [] })
      assert.deepEqual(await policies.current('t1', { lock: true }), { version: 10, roles: [] })
    })
  }),

  contractCase('lists versions without their documents, the highest first', async ({ storage }) => {
    await storage.run(async ({ policies }) => {
      for (const version of [1, 9, 10]) await policies.insert(policy({ version }))
      await policies.insert(policy({ tenantId: 't2', version: 2 }))
      const { roles: _, tests: _tests, ...summary } = policy({ version: 10 })
      assert.deepEqual(await policies.list('t1', { limit: 1, after: null }), [summary])
      const after = await policies.list('t1', { limit: 5, after: [10] })
      assert.deepEqual(
        after.map(({ version }) => version),
        [9, 1],
      )
    })
  }),

  contractCase('forgets the versions before one, of one tenant', async ({ storage }) => {
    await storage.run(async ({ policies }) => {
      for (const version of [1, 9, 10]) await policies.insert(policy({ version }))
      await policies.insert(policy({ tenantId: 't2', version: 1 }))
      await policies.removeBefore('t1', 10)
      assert.equal(await policies.find('t1', 9), null)
      assert.deepEqual(await policies.latest('t1'), policy({ version: 10 }))
      assert.equal((await policies.list('t1', { limit: 5, after: null })).length, 1)
      assert.deepEqual(await policies.find('t2', 1), policy({ tenantId: 't2' }))
    })
  }),

  contractCase('keeps one draft for each tenant, and changes it only by its etag', async ({ storage }) => {
    await storage.run(async ({ policies }) => {
      assert.equal(await policies.draft('t1'), null)
      assert.equal(await policies.changeDraft('t1', null, { etag: 'x' }), false)
      assert.equal(await policies.addDraft(draft({})), true)
      assert.equal(await policies.addDraft(draft({ etag: 'two' })), false)
      assert.equal(await policies.addDraft(draft({ tenantId: 't2' })), true)
      assert.deepEqual(await policies.draft('t1', { lock: true }), draft({}))

      const by = { type: 'key', id: 'key_1' } as const
      const patch = { document: { roles: {} }, etag: 'two', author: by, updatedAt: 5 }
      assert.equal(await policies.changeDraft('t1', 'other', patch), false)
      assert.equal(await policies.changeDraft('t1', 'one', patch), true)
      assert.deepEqual(await policies.draft('t1'), draft(patch))
      assert.deepEqual(await policies.draft('t2'), draft({ tenantId: 't2' }))

      assert.equal(await policies.removeDraft('t1', 'one'), false)
      assert.equal(await policies.removeDraft('t1', 'two'), true)
      assert.equal(await policies.removeDraft('t1', null), false)
      assert.equal(await policies.removeDraft('t2', null), true)
      assert.equal(await policies.draft('t2'), null)
    })
  }),
]
