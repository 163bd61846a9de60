/** What is remembered between questions, and that it is never believed for too long. */
import type { Clock } from '@org/core'
import { type FakeClock, fakeClock, type OpenTarget, recordingLogger } from '@org/core/testing'
import { type CacheOptions, createRbac, defaultTenantId, type RbacStorage } from '@org/rbac'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { storages } from './storages.js'
import { gate, type WatchedStorage, watched } from './watched-storage.js'

const tenantId = 'acme'
const scope = { tenantId }
const developer = { userId: 'dev', role: 'developer' }
const resources = { keys: ['create', 'read'], docs: ['read', 'update'], team: ['create', 'read', 'delete'] } as const
const roles = {
  owner: { permissions: ['*'] },
  developer: { permissions: ['keys:*'] },
  author: {
    rules: [{ effect: 'allow', permission: 'docs:update', when: { authorId: { var: 'userId' } } }],
  },
} as const

for (const { name, missing, open } of await storages()) {
  describe.skipIf(missing)(`the cache on ${name}`, () => {
    let opened: OpenTarget<RbacStorage>
    let clock: FakeClock
    let there: WatchedStorage
    const make = (storage: RbacStorage, cache: CacheOptions | false = {}, time: Clock = clock) =>
      createRbac({ storage, cache, clock: time, logger: recordingLogger(), resources, roles })
    type Made = ReturnType<typeof make>
    /** The process that changes, and the one that asks. */
    let changing: Made
    let asking: Made
    const may = (rbac: Made, userId = 'dev') => rbac.checkPermission(userId, 'keys', 'create', scope)

    beforeEach(async () => {
      opened = await open()
      clock = fakeClock()
      there = watched(opened.second())
      changing = make(opened.storage)
      asking = make(there.storage)
      await changing.assignments.assign(scope, { userId: 'ann', role: 'owner' })
      await changing.assignments.assign(scope, developer)
    })
    afterEach(() => opened.close())

    it('answers from memory, and asks again only after the bound', async () => {
      expect(await may(asking)).toBe(true)
      const before = [there.loads(), there.versions()]
      for (let i = 0; i < 20; i++) expect(await may(asking)).toBe(true)
      expect(await asking.abilityFor({ tenantId, userId: 'dev' })).toBe(
        await asking.abilityFor({ tenantId, userId: 'dev' }),
      )
      expect([there.loads(), there.versions()]).toEqual(before)
      clock.advance(1001)
      expect(await may(asking)).toBe(true)
      expect([there.loads(), there.versions()]).toEqual([before[0], (before[1] ?? 0) + 1])
    })

    it('defect 8: a role that was taken away counts at once in this process, and in others within the bound', async () => {
      expect([await may(changing), await may(asking)]).toEqual([true, true])
      await changing.assignments.unassign(scope, developer)
      expect(await may(changing)).toBe(false)
      expect((await changing.abilityFor({ tenantId, userId: 'dev' })).can('create', 'keys')).toBe(false)
      clock.advance(1000)
      expect(await may(asking)).toBe(true)
      clock.advance(1)
      expect(await may(asking)).toBe(false)
      await changing.assignments.assign(scope, developer)
      expect(await may(changing)).toBe(true)
    })

    it('believes nothing for long when it is strict, and nothing at all when it is off', async () => {
      for (const cache of [{ strict: true }, { maxStaleMs: 0 }, false] as const) {
        const other = make(there.storage, cache)
        expect(await may(other)).toBe(true)
        await changing.assignments.unassign(scope, developer)
        expect(await may(other)).toBe(false)
        await changing.assignments.assign(scope, developer)
        expect(await may(other)).toBe(true)
      }
    })

    it('defect 8: a slow load does not write the old answer back, whoever changed it meanwhile', async () => {
      for (const process of ['another', 'this'] as const) {
        const changer = process === 'this' ? asking : changing
        const [reached, resumed] = [gate(), gate()]
        there.afterLoad = () => {
          there.afterLoad = null
          reached.open()
          return resumed.opened
        }
        const slow = may(asking)
        await reached.opened
        await changer.assignments.unassign(scope, developer)
        resumed.open()
        // Read again, since the tenant is at another version than when the load began.
        expect(await slow).toBe(false)
        expect(await may(asking)).toBe(false)
        await changer.assignments.assign(scope, developer)
        clock.advance(1001)
      }
    })

    it('defect 8: a load that is overtaken each time is answered and not kept', async () => {
      let changes = 0
      there.afterLoad = async () => {
        changes++
        await changing.assignments.assign(scope, { userId: `new ${changes}`, role: 'developer' })
      }
      expect(await may(asking)).toBe(true)
      expect(changes).toBe(3)
      there.afterLoad = null
      await changing.assignments.unassign(scope, developer)
      expect(await may(asking)).toBe(false)
    })

    it('defect 8: if the version cannot be read, nobody may anything, for as long as that lasts', async () => {
      expect(await may(asking)).toBe(true)
      there.beforeVersion = () => Promise.reject(new Error('the database is away'))
      clock.advance(1000)
      expect(await may(asking)).toBe(true)
      for (const ms of [1, 0, 5000]) {
        clock.advance(ms)
        await expect(may(asking)).rejects.toThrow('the database is away')
        await expect(asking.abilityFor({ tenantId, userId: 'dev' })).rejects.toThrow('the database is away')
        await expect(asking.getUserPermissions('dev', scope)).rejects.toThrow('the database is away')
        const context = asking.context(() => ({ tenantId, userId: 'dev' }))
        await expect(context({})).rejects.toThrow('the database is away')
      }
      there.beforeVersion = null
      await changing.assignments.unassign(scope, developer)
      expect(await may(asking)).toBe(false)
    })

    it('reads once for all who ask at the same moment', async () => {
      expect(await Promise.all(Array.from({ length: 50 }, () => may(asking)))).toEqual(Array(50).fill(true))
      expect([there.loads(), there.versions()]).toEqual([1, 2])
      clock.advance(1001)
      await Promise.all(Array.from({ length: 50 }, () => may(asking)))
      expect([there.loads(), there.versions()]).toEqual([1, 3])
    })

    it('does not let one who asks after a change have the answer of one who asked before', async () => {
      await may(asking)
      clock.advance(1001)
      const [reached, resumed] = [gate(), gate()]
      there.beforeVersion = () => {
        there.beforeVersion = null
        reached.open()
        return resumed.opened
      }
      const early = may(asking)
      await reached.opened
      await asking.assignments.unassign(scope, developer)
      expect(await may(asking)).toBe(false)
      resumed.open()
      await early
      expect(await may(asking)).toBe(false)
    })

    it('lets an entry die with the first of its grants', async () => {
      const rbac = make(there.storage, { maxStaleMs: 3_600_000 })
      const grant = { userId: 'tmp', role: 'developer', expiresAt: clock.now() + 500 }
      await changing.assignments.assign(scope, grant)
      expect(await may(rbac, 'tmp')).toBe(true)
      clock.advance(499)
      expect(await may(rbac, 'tmp')).toBe(true)
      clock.advance(1)
      expect(await may(rbac, 'tmp')).toBe(false)
    })

    it('follows who is suspended, reactivated and removed', async () => {
      const seen: boolean[] = []
      const look = async () => {
        clock.advance(1001)
        seen.push(await may(changing), await may(asking))
      }
      await look()
      await changing.members.suspend(scope, 'dev')
      await look()
      await changing.members.reactivate(scope, 'dev')
      await look()
      await changing.members.remove(scope, 'dev')
      await look()
      expect(seen).toEqual([true, true, false, false, true, true, false, false])
    })

    it('takes no clock that goes back for one that stands still', async () => {
      await may(asking)
      await changing.assignments.unassign(scope, developer)
      clock.advance(-3_600_000)
      expect(await may(asking)).toBe(false)

      // With a second clock for how long ago something was, an hour set back costs nothing and hides nothing.
      let passed = 0
      const rbac = make(there.storage, {}, { now: () => clock.now(), monotonic: () => passed })
      await changing.assignments.assign(scope, developer)
      expect(await may(rbac)).toBe(true)
      await changing.assignments.unassign(scope, developer)
      clock.advance(-3_600_000)
      passed += 1000
      expect(await may(rbac)).toBe(true)
      clock.advance(3_600_000)
      passed += 1
      expect(await may(rbac)).toBe(false)
    })

    it('sees a change in a transaction of the host inside it, and outside from its commit on', async () => {
      expect([await may(changing), await may(changing, 'new')]).toEqual([true, false])
      await opened.transaction(async (tx) => {
        await changing.assignments.assign({ tenantId, tx }, { userId: 'new', role: 'developer' })
        await changing.assignments.unassign({ tenantId, tx }, developer)
        const inside = (userId: string) => changing.checkPermission(userId, 'keys', 'create', { tenantId, tx })
        expect([await inside('new'), await inside('dev')]).toEqual([true, false])
        // SQLite has one connection, and memory shows what is not committed.
        if (name !== 'sqlite' && name !== 'memory') {
          expect([await may(changing, 'new'), await may(changing)]).toEqual([false, true])
        }
      })
      expect([await may(changing, 'new'), await may(changing)]).toEqual([true, false])
      clock.advance(1001)
      expect([await may(changing, 'new'), await may(changing)]).toEqual([true, false])
    })

    it('forgets what a transaction of the host changed and took back, also if the version comes back', async () => {
      expect(await may(changing, 'new')).toBe(false)
      const undone = opened.transaction(async (tx) => {
        await changing.assignments.assign({ tenantId, tx }, { userId: 'new', role: 'developer' })
        if (name !== 'sqlite') await may(changing, 'new')
        throw new Error('taken back')
      })
      await expect(undone).rejects.toThrow('taken back')
      // In memory, which shows what is not committed, this is the number that the version had in there.
      await changing.assignments.assign(scope, { userId: 'somebody', role: 'developer' })
      expect(await may(changing, 'new')).toBe(false)
      clock.advance(1001)
      expect([await may(changing, 'new'), await may(changing, 'somebody')]).toEqual([false, true])
    })

    it('reads the version each time while such a transaction is open, and a moment longer, and then no more', async () => {
      const own = watched(opened.storage)
      const rbac = make(own.storage)
      await may(rbac)
      const readsOf = async (times: number) => {
        const before = own.versions()
        for (let i = 0; i < times; i++) expect(await may(rbac)).toBe(true)
        return own.versions() - before
      }
      expect(await readsOf(3)).toBe(0)
      await opened.transaction(async (tx) => {
        await rbac.assignments.assign({ tenantId, tx }, { userId: 'new', role: 'developer' })
        // SQLite has one connection here, which the transaction holds.
        if (name === 'sqlite') return
        await may(rbac)
        expect(await readsOf(3)).toBe(3)
      })
      await may(rbac)
      // Knex calls a transaction ended when its COMMIT is sent.
      expect(await readsOf(3)).toBe(3)
      clock.advance(1001)
      await may(rbac)
      expect(await readsOf(3)).toBe(0)
    })

    it('remembers so many and no more, and the ones that are asked for longest', async () => {
      const rbac = make(there.storage, { maxEntries: 2 })
      const loadsOf = async (userId: string) => {
        const before = there.loads()
        await may(rbac, userId)
        return there.loads() - before
      }
      expect([await loadsOf('a'), await loadsOf('b'), await loadsOf('c')]).toEqual([1, 1, 1])
      expect([await loadsOf('c'), await loadsOf('b')]).toEqual([0, 0])
      expect(await loadsOf('a')).toBe(1)
      for (let i = 0; i < 50; i++) await may(rbac, `u${i}`)
      expect([await loadsOf('u49'), await loadsOf('u1')]).toEqual([0, 1])
    })

    it('shares an ability among members with the same roles, and never one that speaks of its member', async () => {
      for (const userId of ['eve', 'fay']) {
        await changing.assignments.assign(scope, { userId, role: 'developer' })
        await changing.assignments.assign(scope, { userId: `author ${userId}`, role: 'author' })
      }
      const of = (userId: string) => asking.abilityFor({ tenantId, userId })
      expect(await of('eve')).toBe(await of('fay'))
      expect(await of('author eve')).not.toBe(await of('author fay'))
      const row = { authorId: 'author eve' }
      const edit = (userId: string) => asking.checkPermission(userId, 'docs', 'update', { tenantId, row })
      expect([await edit('author eve'), await edit('author fay')]).toEqual([true, false])
      // What one caller does with it must not be felt by another.
      const shared = await of('author eve')
      expect(() => shared.update([{ action: 'manage', subject: 'all' }])).toThrow(
        expect.objectContaining({ code: 'setup_error' }),
      )
      const [rule] = shared.rules
      expect(() => Object.assign(rule?.conditions ?? {}, { authorId: 'author fay' })).toThrow(TypeError)
      expect(await edit('author fay')).toBe(false)
    })

    it('takes no missing tenant for the default one, whether that is remembered or not', async () => {
      await changing.assignments.assign({ tenantId: defaultTenantId }, developer)
      const ask = (options: unknown) => asking.checkPermission('dev', 'keys', 'create', options as { tenantId: string })
      for (const remembered of [false, true]) {
        await expect(ask({ tenantId: null }), String(remembered)).rejects.toMatchObject({ code: 'invalid_input' })
        await expect(ask(null), String(remembered)).rejects.toThrow()
        expect(await ask(undefined)).toBe(true)
      }
    })

    it('keeps tenants apart, and says no to ids that are none', async () => {
      expect(await may(asking)).toBe(true)
      expect(await asking.checkPermission('dev', 'keys', 'create', { tenantId: 'other' })).toBe(false)
      expect(await asking.checkPermission('dev', 'keys', 'create')).toBe(false)
      for (const userId of ['', ' dev', null as unknown as string, ['dev'] as unknown as string]) {
        await expect(may(asking, userId)).rejects.toMatchObject({ code: 'invalid_input' })
      }
      await expect(asking.checkPermission('dev', 'kyes' as 'keys', 'create', scope)).rejects.toMatchObject({
        code: 'invalid_input',
      })
    })
  })
}

describe('set up', () => {
  it('refuses bounds that are none', () => {
    const wrong = [{ maxStaleMs: -1 }, { maxStaleMs: Number.NaN }, { maxStaleMs: Infinity }, { maxEntries: 0 }]
    for (const cache of wrong) {
      expect(() => createRbac({ logger: recordingLogger(), cache })).toThrow(
        expect.objectContaining({ code: 'setup_error' }),
      )
    }
  })

  it('starts no timer and no connection by itself, and no sync without a bus', () => {
    const before = process.getActiveResourcesInfo().length
    const rbac = createRbac({ logger: recordingLogger() })
    expect(process.getActiveResourcesInfo()).toHaveLength(before)
    expect(() => rbac.startCacheSync()).toThrow(expect.objectContaining({ code: 'setup_error' }))
  })
})
