import type { Actor, DomainEvent } from '@org/core'
import { fakeClock, type OpenTarget, recordingLogger } from '@org/core/testing'
import {
  createRbac,
  defineResources,
  predefinedResources,
  predefinedRoles,
  type RbacStorage,
  rbacEvents,
} from '@org/rbac'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { storages } from './storages.js'

const logger = recordingLogger()
const user = (id: string): Actor => ({ type: 'user', id })
const day = 24 * 60 * 60 * 1000
const exceeds = { code: 'exceeds_own_rights', status: 403 }
const last = { code: 'last_owner', status: 409 }
const absent = { code: 'not_found', status: 404 }

/** The host's roles, with some that say more than permissions can. */
const resources = defineResources({ ...predefinedResources, projects: ['create', 'read', 'update', 'delete'] } as const)
const roles = {
  ...predefinedRoles,
  no_deletes: { rules: [{ effect: 'deny', permission: 'keys:delete' }] },
  editor: { permissions: ['projects:*'] },
  team_lead: { permissions: ['team:*'] },
} as const

for (const { name, missing, open } of await storages()) {
  describe.skipIf(missing)(`members on ${name}`, () => {
    let opened: OpenTarget<RbacStorage>
    let tenants = 0
    let tenantId = ''
    let events: DomainEvent[] = []
    const clock = fakeClock()
    const make = () =>
      createRbac({
        ...{ storage: opened.storage, clock, logger, resources, roles },
        events: (event) => void events.push(event),
      })
    let rbac: ReturnType<typeof make>

    beforeAll(async () => {
      opened = await open({ pool: 1 })
    })
    afterAll(() => opened.close())
    beforeEach(async () => {
      tenantId = `tenant ${++tenants}`
      rbac = make()
      await rbac.tenants.create({ tenantId }, { ownerId: 'olga', name: 'Acme Inc.' })
      for (const [userId, role] of [
        ['adam', 'admin'],
        ['dev', 'developer'],
      ] as const) {
        await rbac.assignments.assign({ tenantId }, { userId, role })
      }
      events = []
    })

    const as = (id: string) => ({ tenantId, actor: user(id) })
    const types = () => events.map(({ type }) => type)
    const rolesOf = async (userId: string) => (await rbac.members.get({ tenantId }, userId)).roles
    const invalid = (pointer: string, detail = '') => ({
      code: 'invalid_input',
      errors: expect.arrayContaining([{ pointer, detail: expect.stringContaining(detail) }]),
    })

    it('are added once, with roles', async () => {
      const added = await rbac.members.add(as('adam'), { userId: 'new', roles: ['developer', 'developer'] })
      expect(added).toEqual({
        ...{ id: expect.stringMatching(/^mem_/), tenantId, userId: 'new', status: 'active' },
        ...{ roles: ['developer'], createdAt: clock.now() },
      })
      expect(await rbac.members.get({ tenantId }, 'new')).toEqual(added)
      expect(types()).toEqual(['member.added', 'assignment.created'])
      const after = { userId: 'new', status: 'active', roles: ['developer'], createdAt: expect.any(String) }
      expect(events[0]).toMatchObject({ actor: user('adam'), resource: { type: 'member', id: 'new' }, after })
      expect(events[0]?.after).toEqual(after)
      for (const { type, data } of events) {
        expect(rbacEvents[type as keyof typeof rbacEvents].parse(data)).toEqual(data)
      }
      expect(await rbac.members.add({ tenantId }, { userId: 'plain' })).toMatchObject({ roles: [] })
      events = []
      for (const userId of ['new', 'adam']) {
        await expect(rbac.members.add(as('olga'), { userId, roles: ['owner'] })).rejects.toMatchObject({
          ...{ code: 'already_member', status: 409 },
        })
      }
      await expect(rbac.members.add(as('adam'), { userId: 'eve', roles: ['owner'] })).rejects.toMatchObject(exceeds)
      const known = 'known values: owner, admin'
      await expect(rbac.members.add(as('adam'), { userId: 'eve', roles: ['developer', 'boss'] })).rejects.toMatchObject(
        invalid('/roles/1', known),
      )
      await expect(rbac.members.add({ tenantId }, { userId: 'eve ' })).rejects.toMatchObject(invalid('/userId'))
      await expect(rbac.members.get({ tenantId }, 'eve')).rejects.toMatchObject(absent)
      expect([events, await rolesOf('adam')]).toEqual([[], ['admin']])
    })

    it('are listed by status, the newest first, with the roles that count', async () => {
      await rbac.assignments.assign({ tenantId }, { userId: 'dev', role: 'billing', expiresAt: clock.now() + day })
      await rbac.assignments.assign(
        { tenantId },
        { userId: 'dev', role: 'editor', on: { resource: 'projects', id: 'p1' } },
      )
      await rbac.members.suspend({ tenantId }, 'adam')
      const list = async (query = {}) => {
        const { data } = await rbac.members.list({ tenantId }, query)
        return data.map(({ userId, status, roles }) => [userId, status, roles])
      }
      const team = [
        ['dev', 'active', ['developer', 'billing']],
        ['adam', 'suspended', ['admin']],
        ['olga', 'active', ['owner']],
      ]
      expect(await list()).toEqual(team)
      expect(await list({ status: 'active' })).toEqual([team[0], team[2]])
      expect(await list({ status: 'suspended' })).toEqual([team[1]])
      const first = await rbac.members.list({ tenantId }, { limit: 2 })
      expect(await list({ limit: 2, cursor: first.next })).toEqual([team[2]])
      clock.advance(day)
      expect((await list())[0]).toEqual(['dev', 'active', ['developer']])
      expect((await rbac.members.list({ tenantId: `${tenantId} b` })).data).toEqual([])
      await expect(rbac.members.list({ tenantId }, { status: 'gone' as never })).rejects.toMatchObject(
        invalid('/status'),
      )
      await expect(rbac.members.list({ tenantId }, { cursor: 'x' })).rejects.toMatchObject(invalid('/cursor'))
      await expect(rbac.members.list({} as never)).rejects.toMatchObject(invalid('/tenantId'))
      await expect(rbac.members.get({ tenantId: `${tenantId} b` }, 'dev')).rejects.toMatchObject(absent)
    })

    it('are given exactly the roles that are named', async () => {
      const on = { resource: 'projects', id: 'p1' }
      await rbac.assignments.assign({ tenantId }, { userId: 'dev', role: 'editor', on })
      await rbac.assignments.assign({ tenantId }, { userId: 'dev', role: 'billing', expiresAt: clock.now() + day })
      events = []
      const set = await rbac.members.setRoles(as('olga'), 'dev', { roles: ['admin', 'billing'] })
      expect(set).toMatchObject({ userId: 'dev', roles: ['billing', 'admin'] })
      expect(types().sort()).toEqual(['assignment.created', 'assignment.deleted', 'assignment.updated'])
      const { data } = await rbac.assignments.list({ tenantId }, { userId: 'dev' })
      expect(data.map(({ role, on, expiresAt }) => [role, on?.id, expiresAt]).sort()).toEqual([
        ['admin', undefined, null],
        ['billing', undefined, null],
        ['editor', 'p1', null],
      ])
      events = []
      await rbac.members.setRoles(as('olga'), 'dev', { roles: ['billing', 'admin'] })
      expect(events).toEqual([])
      expect(await rbac.members.setRoles(as('olga'), 'dev', { roles: [] })).toMatchObject({ roles: [] })
      await expect(rbac.members.setRoles(as('olga'), 'nobody', { roles: [] })).rejects.toMatchObject(absent)
      await expect(rbac.members.setRoles(as('olga'), 'dev', { roles: ['boss'] })).rejects.toMatchObject(
        invalid('/roles/0', 'known values'),
      )
      await expect(rbac.members.setRoles(as('olga'), 'dev', {} as never)).rejects.toMatchObject(invalid('/roles'))
      await expect(rbac.members.setRoles({ tenantId: `${tenantId} b` }, 'dev', { roles: [] })).rejects.toMatchObject(
        absent,
      )
    })

    it('are suspended, hold nothing, and get their rights back', async () => {
      const can = () => rbac.checkPermission('dev', 'keys', 'create', { tenantId })
      expect(await can()).toBe(true)
      const suspended = await rbac.members.suspend(as('adam'), 'dev')
      expect(suspended).toMatchObject({ status: 'suspended', roles: ['developer'] })
      expect(await rbac.members.get({ tenantId }, 'dev')).toEqual(suspended)
      expect([await can(), await rbac.getUserPermissions('dev', { tenantId })]).toEqual([false, []])
      expect(await rbac.whoCan('keys', 'create', { tenantId })).toEqual(['adam', 'olga'])
      await rbac.members.suspend(as('adam'), 'dev')
      expect(await rbac.members.reactivate(as('adam'), 'dev')).toMatchObject({ status: 'active', roles: ['developer'] })
      expect(await can()).toBe(true)
      await rbac.members.reactivate(as('adam'), 'dev')
      expect(types()).toEqual(['member.suspended', 'member.reactivated'])
      expect(events[0]).toMatchObject({ before: { status: 'active' }, after: { status: 'suspended' } })
      for (const verb of ['suspend', 'reactivate'] as const) {
        await expect(rbac.members[verb](as('olga'), 'nobody')).rejects.toMatchObject(absent)
        await expect(rbac.members[verb](as('olga'), '')).rejects.toMatchObject(invalid('/userId'))
      }
    })

    it('are reactivated only by who could give them what they have', async () => {
      await rbac.members.setRoles({ tenantId }, 'dev', { roles: ['billing'] })
      await rbac.members.suspend(as('adam'), 'dev')
      await expect(rbac.members.reactivate(as('adam'), 'dev')).rejects.toMatchObject(exceeds)
      expect((await rbac.members.get({ tenantId }, 'dev')).status).toBe('suspended')
      await rbac.members.reactivate(as('olga'), 'dev')
      // What has ended is given back by nobody.
      await rbac.members.setRoles({ tenantId }, 'dev', { roles: ['developer'] })
      await rbac.assignments.assign({ tenantId }, { userId: 'dev', role: 'billing', expiresAt: clock.now() + day })
      await rbac.members.suspend(as('adam'), 'dev')
      await expect(rbac.members.reactivate(as('adam'), 'dev')).rejects.toMatchObject(exceeds)
      clock.advance(day)
      await rbac.members.reactivate(as('adam'), 'dev')
    })

    it('are removed, and leave, with all their roles', async () => {
      await rbac.assignments.assign(
        { tenantId },
        { userId: 'dev', role: 'editor', on: { resource: 'projects', id: 'p1' } },
      )
      events = []
      expect(await rbac.members.remove(as('adam'), 'dev')).toBeUndefined()
      expect((await rbac.assignments.list({ tenantId }, { userId: 'dev' })).data).toEqual([])
      await rbac.members.leave(as('adam'))
      expect(events).toMatchObject([
        { type: 'member.removed', actor: user('adam'), data: { userId: 'dev' }, before: { roles: ['developer'] } },
        { type: 'member.left', actor: user('adam'), data: { userId: 'adam' }, before: { roles: ['admin'] } },
      ])
      for (const userId of ['dev', 'adam']) {
        await expect(rbac.members.get({ tenantId }, userId)).rejects.toMatchObject(absent)
        await expect(rbac.members.remove(as('olga'), userId)).rejects.toMatchObject(absent)
        await expect(rbac.members.leave(as(userId))).rejects.toMatchObject(absent)
      }
      // Neither the host's own code nor a key is a member who could go.
      await expect(rbac.members.leave({ tenantId })).rejects.toMatchObject(absent)
      await expect(rbac.members.leave({ tenantId, actor: { type: 'key', id: 'olga' } })).rejects.toMatchObject(absent)
      await rbac.members.add({ tenantId }, { userId: 'dev' })
      expect(await rolesOf('dev')).toEqual([])
    })

    it('defect 3: an owner is changed by nobody below', async () => {
      await rbac.assignments.assign({ tenantId }, { userId: 'otto', role: 'owner' })
      events = []
      const { members } = rbac
      const asAdam = as('adam')
      const owners = async () => (await members.list({ tenantId })).data.filter(({ roles }) => roles.includes('owner'))
      const before = await owners()
      for (const change of [
        () => members.setRoles(asAdam, 'otto', { roles: ['developer'] }),
        () => members.setRoles(asAdam, 'otto', { roles: ['owner', 'developer'] }),
        () => members.setRoles(asAdam, 'adam', { roles: ['owner'] }),
        () => members.suspend(asAdam, 'otto'),
        () => members.remove(asAdam, 'otto'),
        () => members.transferOwnership(asAdam, { from: 'otto', to: 'adam' }),
        () => members.transferOwnership({ tenantId, actor: { type: 'key', id: 'olga' } }, { from: 'otto', to: 'adam' }),
      ]) {
        await expect(change()).rejects.toMatchObject(exceeds)
      }
      expect([await owners(), events]).toEqual([before, []])
      // Nor while the owner is suspended, or one for a time only.
      await members.suspend({ tenantId }, 'otto')
      await rbac.assignments.assign({ tenantId }, { userId: 'tom', role: 'owner', expiresAt: clock.now() + day })
      for (const userId of ['otto', 'tom']) {
        await expect(members.remove(asAdam, userId)).rejects.toMatchObject(exceeds)
        await expect(members.setRoles(asAdam, userId, { roles: [] })).rejects.toMatchObject(exceeds)
      }
      await expect(members.reactivate(asAdam, 'otto')).rejects.toMatchObject(exceeds)
      await members.reactivate(as('olga'), 'otto')
    })

    it('defect 4: the last owner stays, and owners for a time or suspended ones do not count', async () => {
      const { members } = rbac
      const end = clock.now() + day
      await rbac.assignments.assign({ tenantId }, { userId: 'tom', role: 'owner', expiresAt: end })
      await rbac.assignments.assign({ tenantId }, { userId: 'sue', role: 'owner' })
      await rbac.assignments.assign(
        { tenantId },
        { userId: 'pia', role: 'owner', on: { resource: 'projects', id: 'p1' } },
      )
      await members.suspend({ tenantId }, 'sue')
      const logged = (await rbac.audit.query({ tenantId })).data.length
      for (const change of [
        () => members.setRoles(as('olga'), 'olga', { roles: ['admin'] }),
        () => members.setRoles({ tenantId }, 'olga', { roles: [] }),
        () => members.suspend({ tenantId }, 'olga'),
        () => members.remove({ tenantId }, 'olga'),
        () => members.leave(as('olga')),
        () => rbac.assignments.assign({ tenantId }, { userId: 'olga', role: 'owner', expiresAt: end }),
        () => rbac.assignments.unassign({ tenantId }, { userId: 'olga', role: 'owner' }),
      ]) {
        await expect(change()).rejects.toMatchObject(last)
      }
      expect(await rolesOf('olga')).toEqual(['owner'])
      expect((await rbac.audit.query({ tenantId })).data).toHaveLength(logged)
      await members.reactivate({ tenantId }, 'sue')
      await members.leave(as('olga'))
      await expect(members.leave(as('sue'))).rejects.toMatchObject(last)
      // Those who are no owners come and go.
      await members.leave(as('tom'))
      await members.remove({ tenantId }, 'pia')
    })

    it('hand ownership on in one step', async () => {
      const { members } = rbac
      await members.transferOwnership(as('olga'), { to: 'dev' })
      expect([await rolesOf('dev'), await rolesOf('olga')]).toEqual([['developer', 'owner'], []])
      // Whoever mirrors roles must hear of both, and not take the old owner for one still.
      expect(types()).toEqual(['assignment.created', 'assignment.deleted', 'ownership.transferred'])
      const [given, taken, told] = events
      expect(given).toMatchObject({ data: { userId: 'dev', role: 'owner' }, after: { userId: 'dev' } })
      expect(taken).toMatchObject({ data: { userId: 'olga', role: 'owner' }, before: { userId: 'olga' } })
      expect(told).toMatchObject({ actor: user('olga'), data: { from: 'olga', to: 'dev' } })
      const both = ['olga', 'dev'].map((id) => ({ type: 'member', id }))
      for (const { type, id } of both) {
        const about = { action: 'ownership.transferred', resourceType: type, resourceId: id }
        const { data } = await rbac.audit.query({ tenantId }, about)
        expect(data).toMatchObject([{ resource: both[0], targets: both }])
      }
      const { data: feed } = await rbac.audit.activity({ tenantId })
      expect(feed.map(({ summary }) => summary)).toContain('olga transferred the ownership from olga to dev')
      await expect(members.transferOwnership(as('olga'), { to: 'dev' })).rejects.toMatchObject({
        ...{ code: 'not_owner', status: 409 },
      })
      await expect(members.transferOwnership(as('dev'), { to: 'nobody' })).rejects.toMatchObject(absent)
      await expect(members.transferOwnership(as('nobody'), { to: 'dev' })).rejects.toMatchObject(absent)
      await expect(members.transferOwnership({ tenantId }, { to: 'dev' })).rejects.toMatchObject(absent)
      await members.suspend({ tenantId }, 'adam')
      await expect(members.transferOwnership(as('dev'), { to: 'adam' })).rejects.toMatchObject({
        ...{ code: 'member_suspended', status: 409 },
      })
      await members.transferOwnership(as('dev'), { to: 'dev' })
      expect(await rolesOf('dev')).toEqual(['developer', 'owner'])
      // To somebody who is an owner for a time, and is one for good from then on.
      await rbac.assignments.assign({ tenantId }, { userId: 'tom', role: 'owner', expiresAt: clock.now() + day })
      await expect(members.transferOwnership(as('tom'), { from: 'dev', to: 'tom' })).rejects.toMatchObject(exceeds)
      await members.transferOwnership({ tenantId }, { from: 'dev', to: 'tom' })
      clock.advance(2 * day)
      expect([await rolesOf('tom'), await rolesOf('dev')]).toEqual([['owner'], ['developer']])
      await expect(members.leave(as('tom'))).rejects.toMatchObject(last)
    })

    it('with rights for a time make nothing lasting of them', async () => {
      await rbac.assignments.assign({ tenantId }, { userId: 'tom', role: 'admin', expiresAt: clock.now() + day })
      const { members } = rbac
      for (const change of [
        () => members.setRoles(as('tom'), 'tom', { roles: ['admin'] }),
        () => members.setRoles(as('tom'), 'dev', { roles: ['admin'] }),
        () => members.add(as('tom'), { userId: 'new', roles: ['admin'] }),
        () => rbac.assignments.assign(as('tom'), { userId: 'tom', role: 'admin' }),
        () => rbac.assignments.assign(as('tom'), { userId: 'tom', role: 'admin', expiresAt: clock.now() + 2 * day }),
      ]) {
        await expect(change()).rejects.toMatchObject(exceeds)
      }
      await rbac.assignments.assign(as('tom'), { userId: 'dev', role: 'admin', expiresAt: clock.now() + day })
      clock.advance(day)
      for (const userId of ['tom', 'dev']) {
        expect(await rbac.checkPermission(userId, 'team', 'create', { tenantId })).toBe(false)
      }
    })

    it('with rights over one thing give them over nothing else', async () => {
      await rbac.members.add({ tenantId }, { userId: 'lea', roles: ['team_lead'] })
      await rbac.assignments.assign(
        { tenantId },
        { userId: 'lea', role: 'editor', on: { resource: 'projects', id: 'p1' } },
      )
      for (const change of [
        () => rbac.members.setRoles(as('lea'), 'lea', { roles: ['team_lead', 'editor'] }),
        () => rbac.members.add(as('lea'), { userId: 'new', roles: ['editor'] }),
        () =>
          rbac.assignments.assign(as('lea'), { userId: 'lea', role: 'editor', on: { resource: 'projects', id: 'p2' } }),
      ]) {
        await expect(change()).rejects.toMatchObject(exceeds)
      }
      const may = (id: string) => rbac.checkPermission('lea', 'projects', 'update', { tenantId, row: { id } })
      expect([await may('p1'), await may('p2')]).toEqual([true, false])
    })

    it('with a deny hand it on, and take it off nobody', async () => {
      const { members, assignments } = rbac
      await members.add({ tenantId }, { userId: 'bea', roles: ['admin', 'no_deletes'] })
      const may = (userId: string) => rbac.checkPermission(userId, 'keys', 'delete', { tenantId })
      expect([await may('adam'), await may('bea')]).toEqual([true, false])
      const both = ['admin', 'no_deletes']
      for (const change of [
        () => members.add(as('bea'), { userId: 'new', roles: ['admin'] }),
        () => members.setRoles(as('bea'), 'dev', { roles: ['admin'] }),
        // Off oneself, at once or after a while.
        () => members.setRoles(as('bea'), 'bea', { roles: ['admin'] }),
        () => assignments.unassign(as('bea'), { userId: 'bea', role: 'no_deletes' }),
        () => assignments.assign(as('bea'), { userId: 'bea', role: 'no_deletes', expiresAt: clock.now() + 1 }),
      ]) {
        await expect(change()).rejects.toMatchObject(exceeds)
      }
      await members.add(as('bea'), { userId: 'new', roles: both })
      // Off somebody whom they gave it with the rest.
      await expect(members.setRoles(as('bea'), 'new', { roles: ['admin'] })).rejects.toMatchObject(exceeds)
      expect([await may('bea'), await may('new'), await rolesOf('bea'), await rolesOf('new')]).toEqual([
        ...[false, false, both, both],
      ])
      await members.setRoles(as('bea'), 'new', { roles: ['no_deletes'] })
      await members.setRoles(as('bea'), 'new', { roles: [] })
      await members.setRoles(as('adam'), 'bea', { roles: ['admin'] })
      expect(await may('bea')).toBe(true)
    })

    it('live and die with the host’s transaction', async () => {
      const undone = opened.transaction(async (tx) => {
        await rbac.members.remove({ tenantId, tx }, 'dev')
        await rbac.members.suspend({ tenantId, tx }, 'adam')
        await rbac.members.add({ tenantId, tx }, { userId: 'new', roles: ['admin'] })
        const { data } = await rbac.members.list({ tenantId, tx }, { status: 'active' })
        expect(data.map(({ userId }) => userId)).toEqual(['new', 'olga'])
        throw new Error('undo')
      })
      await expect(undone).rejects.toThrow('undo')
      const { data } = await rbac.members.list({ tenantId })
      expect(data.map(({ userId, status }) => `${userId} ${status}`)).toEqual([
        'dev active',
        'adam active',
        'olga active',
      ])
    })

    describe('of tenants', () => {
      it('are made with their first owner, once', async () => {
        const other = { tenantId: `${tenantId} b`, actor: user('ann') }
        const made = await rbac.tenants.create(other, { ownerId: 'ann', name: 'Bee' })
        expect(made).toEqual({ id: other.tenantId, name: 'Bee', createdAt: clock.now() })
        expect(await rbac.tenants.get(other)).toEqual(made)
        expect(types()).toEqual(['tenant.created', 'assignment.created'])
        expect(events[0]).toMatchObject({ data: { tenantId: other.tenantId, name: 'Bee' } })
        const exists = { code: 'tenant_exists', status: 409 }
        await expect(rbac.tenants.create(other, { ownerId: 'eve' })).rejects.toMatchObject(exists)
        // One that came to be by a first assignment.
        const third = { tenantId: `${tenantId} c` }
        await rbac.assignments.assign(third, { userId: 'cyd', role: 'developer' })
        await expect(rbac.tenants.create(third, { ownerId: 'eve' })).rejects.toMatchObject(exists)
        expect(await rbac.tenants.get(third)).toEqual({ id: third.tenantId, name: null, createdAt: null })
        await expect(rbac.tenants.create({ tenantId: 'x y z' }, { ownerId: '' })).rejects.toMatchObject(
          invalid('/ownerId'),
        )
        await expect(rbac.tenants.get({ tenantId: 'nowhere' })).rejects.toMatchObject(absent)
        await expect(rbac.tenants.update({ tenantId: 'nowhere' }, { name: 'x' })).rejects.toMatchObject(absent)
        await expect(rbac.tenants.get({ tenantId: 'nowhere' })).rejects.toMatchObject(absent)
      })

      it('are renamed', async () => {
        expect(await rbac.tenants.update(as('adam'), { name: 'New' })).toMatchObject({ id: tenantId, name: 'New' })
        expect(await rbac.tenants.update(as('adam'), { name: null })).toMatchObject({ name: null })
        expect(events).toMatchObject([
          { type: 'tenant.updated', before: { name: 'Acme Inc.' }, after: { name: 'New' } },
          { type: 'tenant.updated', before: { name: 'New' }, after: { name: null } },
        ])
        for (const name of ['', 'x'.repeat(201), undefined]) {
          await expect(rbac.tenants.update({ tenantId }, { name } as never)).rejects.toMatchObject(invalid('/name'))
        }
      })

      it('are listed for a user with status and roles, the last one first', async () => {
        const userId = `who ${tenants}`
        const [a, b, c] = ['a', 'b', 'c'].map((end) => ({ tenantId: `${tenantId} ${end}` }))
        if (!a || !b || !c) throw new Error('three')
        await rbac.tenants.create(a, { ownerId: userId, name: 'A' })
        await rbac.members.add(b, { userId, roles: ['developer', 'billing'] })
        await rbac.assignments.assign(c, { userId, role: 'admin', expiresAt: clock.now() + day })
        await rbac.members.suspend(b, userId)
        clock.advance(day)
        const mine = [
          { tenantId: c.tenantId, name: null, status: 'active', roles: [] },
          { tenantId: b.tenantId, name: null, status: 'suspended', roles: ['developer', 'billing'] },
          { tenantId: a.tenantId, name: 'A', status: 'active', roles: ['owner'] },
        ]
        expect(await rbac.tenants.ofUser(userId)).toEqual({ data: mine, next: null })
        const first = await rbac.tenants.ofUser(userId, { limit: 2 })
        expect(first.data).toEqual(mine.slice(0, 2))
        expect((await rbac.tenants.ofUser(userId, { limit: 2, cursor: first.next ?? '' })).data).toEqual(mine.slice(2))
        expect(await rbac.tenants.ofUser('nobody at all')).toEqual({ data: [], next: null })
        await expect(rbac.tenants.ofUser('')).rejects.toMatchObject(invalid('/userId'))
      })
    })
  })
}
