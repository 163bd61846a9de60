/** Two processes on one real database at the same moment. */
import type { Actor } from '@org/core'
import { type OpenTarget, recordingLogger } from '@org/core/testing'
import { createRbac, type RbacStorage } from '@org/rbac'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { storages } from './storages.js'

const logger = recordingLogger()
const user = (id: string): Actor => ({ type: 'user', id })
const rounds = 15

/** Waits until so many have come. */
function barrier(count: number): () => Promise<void> {
  let open = () => {}
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return () => {
    if (--count === 0) open()
    return opened
  }
}

for (const { name, missing, open } of await storages()) {
  describe.skipIf(missing)(`at the same moment on ${name}`, () => {
    let opened: OpenTarget<RbacStorage>
    const make = (storage: RbacStorage) => createRbac({ storage, logger })
    let here: ReturnType<typeof make>
    let there: ReturnType<typeof make>

    beforeAll(async () => {
      opened = await open()
      here = make(opened.storage)
      there = make(opened.second())
    })
    afterAll(() => opened.close())

    const codes = (results: PromiseSettledResult<unknown>[]) =>
      results.map((result) => (result.status === 'fulfilled' ? 'done' : result.reason.code)).sort()

    it('two owners demote each other, and exactly one does', async () => {
      for (let round = 0; round < rounds; round++) {
        const tenantId = `owners ${round}`
        for (const userId of ['ann', 'bob']) await here.assignments.assign({ tenantId }, { userId, role: 'owner' })
        const results = await Promise.allSettled([
          here.assignments.unassign({ tenantId, actor: user('ann') }, { userId: 'bob', role: 'owner' }),
          there.assignments.unassign({ tenantId, actor: user('bob') }, { userId: 'ann', role: 'owner' }),
        ])
        expect(codes(results)).toEqual(['done', 'exceeds_own_rights'])
        expect((await here.assignments.list({ tenantId })).data).toHaveLength(1)
      }
    })

    it('two owners leave, and exactly one does', async () => {
      for (let round = 0; round < rounds; round++) {
        const tenantId = `leavers ${round}`
        for (const userId of ['ann', 'bob']) await here.assignments.assign({ tenantId }, { userId, role: 'owner' })
        const results = await Promise.allSettled([
          here.assignments.unassign({ tenantId, actor: user('ann') }, { userId: 'ann', role: 'owner' }),
          there.assignments.unassign({ tenantId }, { userId: 'bob', role: 'owner' }),
        ])
        expect(codes(results)).toEqual(['done', 'last_owner'])
        expect(await here.whoCan('team', 'delete', { tenantId })).toHaveLength(1)
      }
    })

    // SQLite and memory have one transaction that writes at a time.
    const manyWriters = name === 'postgres' || name === 'mariadb'
    if (manyWriters)
      it('two owners leave in transactions of the host that began before, and exactly one does', async () => {
        for (let round = 0; round < rounds; round++) {
          const tenantId = `old ${round}`
          for (const userId of ['ann', 'bob']) await here.assignments.assign({ tenantId }, { userId, role: 'owner' })
          const bothRead = barrier(2)
          const leave = (userId: string) =>
            opened.transaction(async (tx) => {
              expect(await here.whoCan('team', 'delete', { tenantId, tx })).toEqual(['ann', 'bob'])
              await bothRead()
              await here.assignments.unassign({ tenantId, tx, actor: user(userId) }, { userId, role: 'owner' })
            })
          const results = await Promise.allSettled(['ann', 'bob'].map(leave))
          expect(codes(results)).toEqual(['done', 'last_owner'])
        }
      })

    const isolations = ['read committed', 'repeatable read', 'serializable'] as const
    if (manyWriters)
      it('two owners leave in transactions of any isolation, and at most one does', async () => {
        for (const first of isolations) {
          for (const second of isolations) {
            const tenantId = `${first} and ${second}`
            for (const userId of ['ann', 'bob']) await here.assignments.assign({ tenantId }, { userId, role: 'owner' })
            const bothRead = barrier(2)
            const leave = (userId: string, isolationLevel: (typeof isolations)[number]) =>
              opened.transaction(
                async (tx) => {
                  await here.whoCan('team', 'delete', { tenantId, tx })
                  await bothRead()
                  await here.assignments.unassign({ tenantId, tx, actor: user(userId) }, { userId, role: 'owner' })
                },
                { isolationLevel },
              )
            const [ann, bob] = await Promise.allSettled([leave('ann', first), leave('bob', second)])
            const left = [ann, bob].filter(({ status }) => status === 'fulfilled').length
            expect([tenantId, left]).toEqual([tenantId, 1])
            expect(await here.whoCan('team', 'delete', { tenantId })).toHaveLength(1)
          }
        }
      })

    if (manyWriters)
      it('an admin does not change who became an owner after the admin’s transaction began', async () => {
        const tenantId = 'fresh owner'
        await here.assignments.assign({ tenantId }, { userId: 'adam', role: 'admin' })
        await here.assignments.assign({ tenantId }, { userId: 'eve', role: 'developer' })
        const change = opened.transaction(
          async (tx) => {
            await here.whoCan('team', 'delete', { tenantId, tx })
            await there.assignments.assign({ tenantId }, { userId: 'eve', role: 'owner' })
            const asAdam = { tenantId, tx, actor: user('adam') }
            await here.assignments.unassign(asAdam, { userId: 'eve', role: 'developer' })
          },
          { isolationLevel: 'repeatable read' },
        )
        // PostgreSQL says that the transaction must be tried again (40001); MariaDB reads what is.
        const code = name === 'postgres' ? '40001' : 'exceeds_own_rights'
        await expect(change).rejects.toMatchObject({ code })
        expect((await here.assignments.list({ tenantId }, { userId: 'eve' })).data).toHaveLength(2)
      })

    it('many join a tenant that is new, each in a transaction of the host', async () => {
      const tenantId = 'new'
      const allBegan = barrier(manyWriters ? 5 : 1)
      const join = (userId: string) =>
        opened.transaction(async (tx) => {
          await here.whoCan('team', 'delete', { tenantId, tx })
          await allBegan()
          await here.assignments.assign({ tenantId, tx }, { userId, role: 'owner' })
        })
      const ids = ['a', 'b', 'c', 'd', 'e']
      expect(codes(await Promise.allSettled(ids.map(join)))).toEqual(ids.map(() => 'done'))
      expect(await here.whoCan('team', 'delete', { tenantId })).toEqual(ids)
    })

    it('an admin who is demoted assigns before or not at all', async () => {
      for (let round = 0; round < rounds; round++) {
        const tenantId = `admins ${round}`
        await here.assignments.assign({ tenantId }, { userId: 'adam', role: 'admin' })
        const results = await Promise.allSettled([
          here.assignments.unassign({ tenantId }, { userId: 'adam', role: 'admin' }),
          there.assignments.assign({ tenantId, actor: user('adam') }, { userId: 'eve', role: 'developer' }),
        ])
        expect(codes(results)).toContain('done')
        const { data } = await here.audit.query({ tenantId })
        const assigned = data.findIndex(({ actor }) => actor.id === 'adam')
        const demoted = data.findIndex(({ action }) => action === 'assignment.deleted')
        expect(demoted).toBeGreaterThanOrEqual(0)
        expect(assigned === -1 ? 'exceeds_own_rights' : 'done').toBe(codes(results)[1] ?? '')
      }
    })

    it('the same role is assigned many times, and there is one assignment and one entry', async () => {
      for (let round = 0; round < rounds; round++) {
        const tenantId = `twins ${round}`
        const made = await Promise.all(
          [here, there, here, there].map((rbac) =>
            rbac.assignments.assign({ tenantId }, { userId: 'ann', role: 'owner' }),
          ),
        )
        expect(new Set(made.map(({ id }) => id)).size).toBe(1)
        expect((await here.assignments.list({ tenantId })).data).toEqual([made[0]])
        expect((await here.audit.query({ tenantId })).data).toHaveLength(1)
      }
    })

    it('many sign up, each in a transaction of the host', async () => {
      const ids = Array.from({ length: 20 }, (_, i) => `sign-up ${i}`)
      const signUp = (tenantId: string) =>
        opened.transaction(async (tx) => {
          await here.assignments.assign({ tenantId, tx }, { userId: 'ann', role: 'owner' })
          await here.audit.log({ tenantId, action: 'tenant.created' }, { tx })
        })
      await Promise.all(ids.map(signUp))
      for (const tenantId of ids) expect(await there.checkPermission('ann', 'keys', 'read', { tenantId })).toBe(true)
    })
  })
}
