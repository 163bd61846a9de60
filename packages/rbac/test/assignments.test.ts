import { type Actor, type DomainEvent, encodeCursor } from '@org/core'
import { fakeClock, type OpenTarget, recordingLogger } from '@org/core/testing'
import { createRbac, memoryStorage, predefinedRoles, type RbacStorage, rbacErrors, rbacEvents } from '@org/rbac'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { storages } from './storages.js'

const logger = recordingLogger()
const user = (id: string): Actor => ({ type: 'user', id })

for (const { name, missing, open } of await storages()) {
  describe.skipIf(missing)(`assignments on ${name}`, () => {
    let opened: OpenTarget<RbacStorage>
    let tenants = 0
    let tenantId = ''
    let events: DomainEvent[] = []
    let failing = false
    const clock = fakeClock()

    beforeAll(async () => {
      opened = await open({ pool: 1 })
    })
    afterAll(() => opened.close())
    beforeEach(() => {
      tenantId = `tenant ${++tenants}`
      events = []
      failing = false
    })

    const make = (roles = {}) =>
      createRbac({
        storage: opened.storage,
        clock,
        logger,
        roles: { ...predefinedRoles, ...roles },
        events: (event) => {
          events.push(event)
          if (failing) throw new Error('the sink failed')
        },
      })
    const rolesOf = async (rbac: ReturnType<typeof make>, userId: string) =>
      (await rbac.assignments.list({ tenantId }, { userId })).data.map(({ role }) => role).sort()
    const logged = async (rbac: ReturnType<typeof make>) =>
      (await rbac.audit.query({ tenantId })).data.map(({ action }) => action)
    /** A tenant with an owner, an admin and a developer. */
    const team = async () => {
      const rbac = make()
      for (const [userId, role] of [
        ['olga', 'owner'],
        ['adam', 'admin'],
        ['dev', 'developer'],
      ] as const) {
        await rbac.assignments.assign({ tenantId }, { userId, role })
      }
      events = []
      return rbac
    }

    it('count at once, in their tenant, and many for a member', async () => {
      const rbac = make()
      const can = (tenantId: string) => rbac.checkPermission('ann', 'billing', 'update', { tenantId })
      await rbac.assignments.assign({ tenantId }, { userId: 'ann', role: 'developer' })
      expect(await can(tenantId)).toBe(false)
      await rbac.assignments.assign({ tenantId }, { userId: 'ann', role: 'billing' })
      expect(await can(tenantId)).toBe(true)
      expect(await can(`${tenantId}0`)).toBe(false)
      expect(await rbac.checkPermission('ann', 'billing', 'update')).toBe(false)
      expect(await rbac.checkPermission('Ann', 'billing', 'update', { tenantId })).toBe(false)
      expect(await rbac.whoCan('billing', 'update', { tenantId })).toEqual(['ann'])
      await rbac.assignments.unassign({ tenantId }, { userId: 'ann', role: 'billing' })
      expect(await can(tenantId)).toBe(false)
      expect(await rbac.whoCan('billing', 'update', { tenantId })).toEqual([])
    })

    it('are made once, however often they are asked for', async () => {
      const rbac = make()
      const first = await rbac.assignments.assign({ tenantId }, { userId: 'ann', role: 'owner' })
      clock.advance(1000)
      expect(await rbac.assignments.assign({ tenantId }, { userId: 'ann', role: 'owner' })).toEqual(first)
      expect(first).toMatchObject({ id: expect.stringMatching(/^asg_/), tenantId, userId: 'ann', role: 'owner' })
      expect(first.createdAt).toBe(clock.now() - 1000)
      expect((await rbac.assignments.list({ tenantId })).data).toEqual([first])
      expect(events).toHaveLength(1)
      expect(await logged(rbac)).toEqual(['assignment.created'])
    })

    it('tell of each change, with who and from where, and audit it', async () => {
      const rbac = await team()
      const scope = { tenantId, actor: user('olga'), ip: '203.0.113.7', userAgent: 'test', requestId: 'r1' }
      const assignment = await rbac.assignments.assign(scope, { userId: 'bea', role: 'billing' })
      await rbac.assignments.unassign(scope, { userId: 'bea', role: 'billing' })
      const common = {
        ...scope,
        resource: { type: 'assignment', id: assignment.id },
        data: { assignmentId: assignment.id, userId: 'bea', role: 'billing' },
        time: clock.now(),
      }
      // As the route shows it: without the tenant, and with RFC 3339 text for its time.
      const shown = {
        id: assignment.id,
        userId: 'bea',
        role: 'billing',
        on: null,
        expiresAt: null,
        createdAt: new Date(clock.now()).toISOString(),
      }
      expect(events).toMatchObject([
        { ...common, type: 'assignment.created', after: shown },
        { ...common, type: 'assignment.deleted', before: shown },
      ])
      expect([events[0]?.after, events[1]?.before]).toEqual([shown, shown])
      for (const { type, data } of events) {
        expect(rbacEvents[type as keyof typeof rbacEvents].strict().parse(data)).toEqual(data)
      }
      const { data } = await rbac.audit.query({ tenantId }, { user: 'olga' })
      expect(data).toMatchObject([
        { ...common, action: 'assignment.deleted', eventId: events[1]?.id, before: shown, after: null },
        { ...common, action: 'assignment.created', eventId: events[0]?.id, before: null, after: shown },
      ])
    })

    it('take no unknown role, odd id or extra field', async () => {
      const rbac = make()
      const invalid = (pointer: string, detail = '') => ({
        code: 'invalid_input',
        errors: expect.arrayContaining([{ pointer, detail: expect.stringContaining(detail) }]),
      })
      const assign = (input: object, scope: object = { tenantId }) =>
        rbac.assignments.assign(scope as { tenantId: string }, input as { userId: string; role: string })
      const known = 'unknown value "boss"; known values: owner, admin, developer, billing, read_only'
      await expect(assign({ userId: 'ann', role: 'boss' })).rejects.toMatchObject(invalid('/role', known))
      await expect(assign({ userId: '', role: 'owner' })).rejects.toMatchObject(invalid('/userId'))
      await expect(assign({ userId: 7, role: 'owner' })).rejects.toMatchObject(invalid('/userId'))
      await expect(assign({ userId: 'ann' })).rejects.toMatchObject(invalid('/role'))
      await expect(assign({ userId: 'ann', role: 'owner', tenantId: 't' })).rejects.toMatchObject(
        invalid('/tenantId', 'unknown field'),
      )
      const fine = { userId: 'ann', role: 'owner' }
      await expect(assign(fine, {})).rejects.toMatchObject(invalid('/tenantId'))
      await expect(assign(fine, { tenantId, actor: null })).rejects.toMatchObject(invalid('/actor'))
      await expect(assign(fine, { tenantId, actor: { type: 'god', id: 'x' } })).rejects.toMatchObject(
        invalid('/actor/type'),
      )
      await expect(rbac.assignments.unassign({ tenantId }, { userId: 'ann', role: 'boss' })).rejects.toMatchObject(
        invalid('/role', known),
      )
      await expect(rbac.assignments.list({ tenantId }, { role: 'boss' })).rejects.toMatchObject(invalid('/role', known))
      // What databases would refuse, pad or take for another.
      for (const odd of ['a\0b', 'ann ', 'a\ud800']) {
        await expect(assign({ userId: odd, role: 'owner' })).rejects.toMatchObject(invalid('/userId'))
        await expect(assign(fine, { tenantId: odd })).rejects.toMatchObject(invalid('/tenantId'))
        await expect(assign(fine, { tenantId, actor: user(odd) })).rejects.toMatchObject(invalid('/actor/id'))
        await expect(rbac.assignments.list({ tenantId }, { role: odd })).rejects.toMatchObject(invalid('/role'))
      }
      const forged = { cursor: encodeCursor(['\0']) }
      await expect(rbac.assignments.list({ tenantId }, forged)).rejects.toMatchObject(invalid('/cursor'))
      await rbac.assignments.assign({ tenantId: `${tenantId} b` }, { userId: 'ann', role: 'developer' })
      events = []
      for (const role of ['developer ', 'developer\0']) {
        const taken = rbac.assignments.unassign({ tenantId: `${tenantId} b` }, { userId: 'ann', role })
        await expect(taken).rejects.toMatchObject(invalid('/role'))
      }
      expect(events).toEqual([])
    })

    it('give nobody more than whoever gives holds', async () => {
      const rbac = await team()
      const give = (actor: Actor, role: string) => rbac.assignments.assign({ tenantId, actor }, { userId: 'new', role })
      const refused = (missing: string[]) => ({ code: 'exceeds_own_rights', status: 403, extensions: { missing } })
      await expect(give(user('adam'), 'owner')).rejects.toMatchObject(refused(['*']))
      await expect(give(user('adam'), 'billing')).rejects.toMatchObject(refused(['billing:*']))
      await expect(give(user('adam'), 'read_only')).rejects.toMatchObject(refused(['*:read']))
      await expect(give(user('dev'), 'billing')).rejects.toMatchObject(refused(['billing:*']))
      await expect(give(user('dev'), 'admin')).rejects.toMatchObject(refused(['analytics:*', 'team:*', 'webhooks:*']))
      await expect(give(user('stranger'), 'developer')).rejects.toMatchObject(refused(['keys:*', 'analytics:read']))
      // A key with an owner's id is not the owner, and an owner elsewhere is nobody here.
      await expect(give({ type: 'key', id: 'olga' }, 'developer')).rejects.toMatchObject({ code: 'exceeds_own_rights' })
      const elsewhere = { tenantId: `${tenantId} b`, actor: user('olga') }
      await expect(rbac.assignments.assign(elsewhere, { userId: 'new', role: 'developer' })).rejects.toMatchObject({
        code: rbacErrors.exceeds_own_rights.code,
      })
      expect(await rolesOf(rbac, 'new')).toEqual([])
      expect(events).toEqual([])
      await give(user('adam'), 'developer')
      await give(user('adam'), 'admin')
      await give(user('olga'), 'owner')
      expect(await rolesOf(rbac, 'new')).toEqual(['admin', 'developer', 'owner'])
    })

    it('of an owner are changed only by whoever holds all of an owner’s rights', async () => {
      const rbac = await team()
      await rbac.assignments.assign({ tenantId }, { userId: 'olga', role: 'developer' })
      await rbac.assignments.assign({ tenantId }, { userId: 'otto', role: 'owner' })
      const asAdam = { tenantId, actor: user('adam') }
      for (const change of [
        rbac.assignments.unassign(asAdam, { userId: 'olga', role: 'owner' }),
        rbac.assignments.unassign(asAdam, { userId: 'olga', role: 'developer' }),
        rbac.assignments.assign(asAdam, { userId: 'olga', role: 'admin' }),
      ]) {
        await expect(change).rejects.toMatchObject({ code: 'exceeds_own_rights', extensions: { missing: ['*'] } })
      }
      expect(await rolesOf(rbac, 'olga')).toEqual(['developer', 'owner'])
      await rbac.assignments.unassign({ tenantId, actor: user('otto') }, { userId: 'olga', role: 'owner' })
      await rbac.assignments.unassign(asAdam, { userId: 'olga', role: 'developer' })
      expect(await rolesOf(rbac, 'olga')).toEqual([])
    })

    it('leave a tenant with an owner', async () => {
      const rbac = await team()
      const last = { code: 'last_owner', status: 409 }
      const leave = { userId: 'olga', role: 'owner' }
      await expect(rbac.assignments.unassign({ tenantId }, leave)).rejects.toMatchObject(last)
      await expect(rbac.assignments.unassign({ tenantId, actor: user('olga') }, leave)).rejects.toMatchObject(last)
      // An owner of another tenant is no owner here.
      await rbac.assignments.assign({ tenantId: `${tenantId} b` }, { userId: 'otto', role: 'owner' })
      await expect(rbac.assignments.unassign({ tenantId }, leave)).rejects.toMatchObject(last)
      expect(await rolesOf(rbac, 'olga')).toEqual(['owner'])
      await rbac.assignments.assign({ tenantId }, { userId: 'otto', role: 'owner' })
      await rbac.assignments.unassign({ tenantId, actor: user('olga') }, leave)
      expect(await rolesOf(rbac, 'olga')).toEqual([])
    })

    it('count as an owner’s with any role that grants everything', async () => {
      const rbac = make({ founder: { name: 'Founder', permissions: ['*:*'] } })
      await rbac.assignments.assign({ tenantId }, { userId: 'fay', role: 'founder' })
      const leave = { userId: 'fay', role: 'founder' }
      await expect(rbac.assignments.unassign({ tenantId }, leave)).rejects.toMatchObject({ code: 'last_owner' })
      await rbac.assignments.assign({ tenantId, actor: user('fay') }, { userId: 'olga', role: 'owner' })
      await rbac.assignments.unassign({ tenantId }, leave)
      expect(await rolesOf(rbac, 'fay')).toEqual([])
    })

    it('that are not there cannot be taken away', async () => {
      const rbac = await team()
      await rbac.assignments.assign({ tenantId: `${tenantId} b` }, { userId: 'eve', role: 'developer' })
      const gone = { code: 'not_found', status: 404 }
      for (const userId of ['eve', 'nobody']) {
        await expect(rbac.assignments.unassign({ tenantId }, { userId, role: 'developer' })).rejects.toMatchObject(gone)
      }
      await rbac.assignments.unassign({ tenantId }, { userId: 'dev', role: 'developer' })
      await expect(rbac.assignments.unassign({ tenantId }, { userId: 'dev', role: 'developer' })).rejects.toMatchObject(
        gone,
      )
      expect(events).toHaveLength(2)
    })

    it('of a role that the host no longer defines grant nothing', async () => {
      await make({ temp: { permissions: ['*'] } }).assignments.assign({ tenantId }, { userId: 'ann', role: 'temp' })
      const rbac = make()
      expect(await rbac.getUserPermissions('ann', { tenantId })).toEqual([])
      expect(await rbac.checkPermission('ann', 'keys', 'read', { tenantId })).toBe(false)
      expect(await rbac.whoCan('keys', 'read', { tenantId })).toEqual([])
      expect(await rbac.explain('ann', 'keys', 'read', { tenantId })).toMatchObject({ allowed: false, roles: [] })
      expect(await rolesOf(rbac, 'ann')).toEqual(['temp'])
      expect((await rbac.assignments.list({ tenantId }, { role: 'temp' })).data).toMatchObject([{ userId: 'ann' }])
      await rbac.assignments.unassign({ tenantId }, { userId: 'ann', role: 'temp' })
      expect(await rolesOf(rbac, 'ann')).toEqual([])
    })

    it('page, the newest first', async () => {
      const rbac = make()
      for (const userId of ['a', 'b', 'c']) await rbac.assignments.assign({ tenantId }, { userId, role: 'developer' })
      const first = await rbac.assignments.list({ tenantId }, { limit: 2 })
      expect(first.data.map(({ userId }) => userId)).toEqual(['c', 'b'])
      const second = await rbac.assignments.list({ tenantId }, { limit: 2, cursor: first.next ?? '' })
      expect(second).toMatchObject({ data: [{ userId: 'a' }], next: null })
      await expect(rbac.assignments.list({ tenantId }, { cursor: 'x' })).rejects.toMatchObject({
        code: 'invalid_input',
      })
    })

    it('live and die with the host’s transaction', async () => {
      const rbac = make()
      const undone = opened.transaction(async (tx) => {
        await rbac.assignments.assign({ tenantId, tx }, { userId: 'ann', role: 'owner' })
        const asAnn = { tenantId, tx, actor: user('ann') }
        await rbac.assignments.assign(asAnn, { userId: 'bob', role: 'admin' })
        const ask = { tenantId, tx }
        expect(await rbac.checkPermission('bob', 'team', 'create', ask)).toBe(true)
        expect(await rbac.getUserPermissions('bob', ask)).toContain('team:create')
        expect((await rbac.abilityFor({ userId: 'bob', ...ask })).can('create', 'team')).toBe(true)
        expect(await rbac.whoCan('team', 'create', ask)).toEqual(['ann', 'bob'])
        expect((await rbac.assignments.list(ask)).data).toHaveLength(2)
        expect((await rbac.audit.query(ask)).data).toHaveLength(2)
        throw new Error('undo')
      })
      await expect(undone).rejects.toThrow('undo')
      expect((await rbac.assignments.list({ tenantId })).data).toEqual([])
      expect(await logged(rbac)).toEqual([])

      await opened.transaction(async (tx) => {
        await rbac.assignments.assign({ tenantId, tx }, { userId: 'ann', role: 'owner' })
        // A refusal inside leaves the host's transaction usable.
        const leave = { userId: 'ann', role: 'owner' }
        await expect(rbac.assignments.unassign({ tenantId, tx }, leave)).rejects.toMatchObject({ code: 'last_owner' })
      })
      expect(await rolesOf(rbac, 'ann')).toEqual(['owner'])
    })

    it('leave nothing when a sink fails', async () => {
      const rbac = await team()
      failing = true
      const scope = { tenantId, actor: user('olga') }
      await expect(rbac.assignments.assign(scope, { userId: 'new', role: 'owner' })).rejects.toThrow('the sink failed')
      await expect(rbac.assignments.unassign(scope, { userId: 'dev', role: 'developer' })).rejects.toThrow(
        'sink failed',
      )
      expect(await rolesOf(rbac, 'new')).toEqual([])
      expect(await rolesOf(rbac, 'dev')).toEqual(['developer'])
      expect((await rbac.audit.query({ tenantId }, { user: 'olga' })).data).toEqual([])
    })
  })
}

describe('without storage', () => {
  it('keeps all in memory, and says so once', async () => {
    const logger = recordingLogger()
    const rbac = createRbac({ logger })
    await rbac.assignments.assign({ tenantId: 'default' }, { userId: 'ann', role: 'owner' })
    expect(await rbac.checkPermission('ann', 'keys', 'read')).toBe(true)
    expect(logger.entries).toEqual([
      { level: 'warn', message: expect.stringContaining('knexStorage(knex)'), fields: {} },
    ])
    createRbac({ logger, storage: memoryStorage() })
    expect(logger.entries).toHaveLength(1)
  })
})
