/** Defect 4: two processes on one real database change the owners of one tenant at the same moment. */
import type { Actor } from '@org/core'
import { type OpenTarget, recordingLogger } from '@org/core/testing'
import { createRbac, type RbacStorage } from '@org/rbac'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { storages } from './storages.js'

const logger = recordingLogger()
const user = (id: string): Actor => ({ type: 'user', id })
const rounds = 8

for (const { name, missing, open } of await storages()) {
  describe.skipIf(missing)(`members at the same moment on ${name}`, () => {
    let opened: OpenTarget<RbacStorage>
    const make = (storage: RbacStorage) => createRbac({ storage, logger })
    type TestRbac = ReturnType<typeof make>
    let here: TestRbac
    let there: TestRbac

    beforeAll(async () => {
      opened = await open()
      here = make(opened.storage)
      there = make(opened.second())
    })
    afterAll(() => opened.close())

    const codes = (results: PromiseSettledResult<unknown>[]) =>
      results.map((result) => (result.status === 'fulfilled' ? 'done' : (result.reason.code ?? result.reason))).sort()
    const owners = (tenantId: string) => here.whoCan('billing', 'delete', { tenantId })
    const twoOwners = async (tenantId: string) => {
      await here.tenants.create({ tenantId }, { ownerId: 'ann' })
      await here.members.add({ tenantId }, { userId: 'bob', roles: ['owner'] })
    }

    type Change = (rbac: TestRbac, tenantId: string, by: string, other: string, tx?: object) => Promise<unknown>
    const cases: [what: string, change: Change, loser: string][] = [
      [
        'demote each other',
        ({ members }, tenantId, by, other, tx) =>
          members.setRoles({ tenantId, tx, actor: user(by) }, other, { roles: ['developer'] }),
        'exceeds_own_rights',
      ],
      [
        'suspend each other',
        ({ members }, tenantId, by, other, tx) => members.suspend({ tenantId, tx, actor: user(by) }, other),
        'exceeds_own_rights',
      ],
      [
        'remove each other',
        ({ members }, tenantId, by, other, tx) => members.remove({ tenantId, tx, actor: user(by) }, other),
        'exceeds_own_rights',
      ],
      [
        'leave',
        ({ members }, tenantId, by, _other, tx) => members.leave({ tenantId, tx, actor: user(by) }),
        'last_owner',
      ],
      [
        'demote themselves',
        ({ members }, tenantId, by, _other, tx) =>
          members.setRoles({ tenantId, tx, actor: user(by) }, by, { roles: ['admin'] }),
        'last_owner',
      ],
      [
        'are suspended by the host',
        ({ members }, tenantId, by, _other, tx) => members.suspend({ tenantId, tx }, by),
        'last_owner',
      ],
    ]
    for (const [what, change, loser] of cases) {
      it(`defect 4: two owners ${what}, and exactly one does`, async () => {
        for (let round = 0; round < rounds; round++) {
          const tenantId = `${what} ${round}`
          await twoOwners(tenantId)
          const results = await Promise.allSettled([
            change(here, tenantId, 'ann', 'bob'),
            change(there, tenantId, 'bob', 'ann'),
          ])
          expect(codes(results)).toEqual(['done', loser])
          expect(await owners(tenantId)).toHaveLength(1)
        }
      })

      // SQLite and memory have one transaction that writes at a time.
      if (name === 'postgres' || name === 'mariadb')
        it(`defect 4: two owners ${what} in transactions of the host that began before, and one does`, async () => {
          for (const isolationLevel of ['read committed', 'repeatable read'] as const) {
            const tenantId = `${what} in ${isolationLevel}`
            await twoOwners(tenantId)
            let began = 0
            let go = () => {}
            const bothBegan = new Promise<void>((resolve) => {
              go = resolve
            })
            const inHost = (by: string, other: string) =>
              opened.transaction(
                async (tx) => {
                  await here.members.list({ tenantId, tx })
                  if (++began === 2) go()
                  await bothBegan
                  await change(here, tenantId, by, other, tx)
                },
                { isolationLevel },
              )
            const results = await Promise.allSettled([inHost('ann', 'bob'), inHost('bob', 'ann')])
            expect(codes(results).filter((code) => code === 'done')).toEqual(['done'])
            expect(await owners(tenantId)).toHaveLength(1)
          }
        })
    }

    it('defect 4: an owner leaves while the other hands ownership on, and one owner is left', async () => {
      for (let round = 0; round < rounds; round++) {
        const tenantId = `hand on ${round}`
        await twoOwners(tenantId)
        await here.members.add({ tenantId }, { userId: 'cyd' })
        const results = await Promise.allSettled([
          here.members.transferOwnership({ tenantId, actor: user('ann') }, { to: 'cyd' }),
          there.members.leave({ tenantId, actor: user('bob') }),
        ])
        expect(codes(results)).toEqual(['done', 'done'])
        expect(await owners(tenantId)).toEqual(['cyd'])
      }
    })

    it('ownership is handed to one of two heirs', async () => {
      for (let round = 0; round < rounds; round++) {
        const tenantId = `heirs ${round}`
        await here.tenants.create({ tenantId }, { ownerId: 'ann' })
        for (const userId of ['bob', 'cyd']) await here.members.add({ tenantId }, { userId })
        const results = await Promise.allSettled([
          here.members.transferOwnership({ tenantId, actor: user('ann') }, { to: 'bob' }),
          there.members.transferOwnership({ tenantId, actor: user('ann') }, { to: 'cyd' }),
        ])
        expect(codes(results)).toEqual(['done', 'not_owner'])
        expect(await owners(tenantId)).toHaveLength(1)
      }
    })

    it('a user is added twice, and a tenant made twice, once each', async () => {
      for (let round = 0; round < rounds; round++) {
        const tenantId = `twins ${round}`
        const made = await Promise.allSettled(
          [here, there].map((rbac, i) => rbac.tenants.create({ tenantId }, { ownerId: `owner ${i}` })),
        )
        expect(codes(made)).toEqual(['done', 'tenant_exists'])
        expect(await owners(tenantId)).toHaveLength(1)
        const added = await Promise.allSettled(
          [here, there].map((rbac) => rbac.members.add({ tenantId }, { userId: 'new', roles: ['admin'] })),
        )
        expect(codes(added)).toEqual(['already_member', 'done'])
        expect((await here.assignments.list({ tenantId }, { userId: 'new' })).data).toHaveLength(1)
      }
    })

    if (name === 'postgres' || name === 'mariadb')
      it('a tenant is read while its team is being changed', async () => {
        const tenantId = 'read'
        await here.tenants.create({ tenantId }, { ownerId: 'ann', name: 'Acme' })
        await opened.transaction(async (tx) => {
          await here.members.setRoles({ tenantId, tx }, 'ann', { roles: ['owner', 'admin'] })
          expect(await there.tenants.get({ tenantId })).toMatchObject({ name: 'Acme' })
        })
      })

    if (name === 'postgres' || name === 'mariadb')
      it('a tenant is not made again in a transaction of the host that began before its first member came', async () => {
        const tenantId = 'late'
        const late = opened.transaction(
          async (tx) => {
            await here.members.list({ tenantId, tx })
            await there.assignments.assign({ tenantId }, { userId: 'ann', role: 'owner' })
            await here.tenants.create({ tenantId, tx }, { ownerId: 'eve' })
          },
          { isolationLevel: 'repeatable read' },
        )
        await expect(late).rejects.toMatchObject({ code: name === 'postgres' ? '40001' : 'tenant_exists' })
        expect(await owners(tenantId)).toEqual(['ann'])
      })
  })
}
