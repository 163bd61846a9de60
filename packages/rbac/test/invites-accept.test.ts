import type { Actor, DomainEvent } from '@org/core'
import { fakeClock, type OpenTarget, recordingLogger } from '@org/core/testing'
import { createRbac, predefinedRoles, type RbacStorage, rbacEvents } from '@org/rbac'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { storages } from './storages.js'

const logger = recordingLogger()
const user = (id: string): Actor => ({ type: 'user', id })
const day = 24 * 60 * 60 * 1000
const gone = { code: 'invite_not_found', status: 404 }
const wrong = { code: 'invite_wrong_email', status: 403 }

for (const { name, missing, open } of await storages()) {
  describe.skipIf(missing)(`accepting invites on ${name}`, () => {
    let opened: OpenTarget<RbacStorage>
    let tenants = 0
    let tenantId = ''
    let events: DomainEvent[] = []
    let verified: Record<string, readonly string[]> = {}
    const clock = fakeClock()

    beforeAll(async () => {
      opened = await open({ pool: 1 })
    })
    afterAll(() => opened.close())
    beforeEach(() => {
      tenantId = `tenant ${++tenants}`
      events = []
      verified = { ann: ['ann@acme.com'] }
    })

    const make = (options: Parameters<typeof createRbac>[0] = {}) =>
      createRbac({
        storage: opened.storage,
        clock,
        logger,
        events: (event) => void events.push(event),
        invites: { verifiedEmails: async (userId) => verified[userId] ?? [] },
        ...options,
      })
    type TestRbac = ReturnType<typeof make>
    const team = async (rbac = make()) => {
      await rbac.tenants.create({ tenantId }, { ownerId: 'olga', name: 'Acme Inc.' })
      await rbac.assignments.assign({ tenantId }, { userId: 'adam', role: 'admin' })
      return rbac
    }
    const toAnn = (rbac: TestRbac, roles = ['developer'], actor?: Actor) =>
      rbac.invites.create({ tenantId, actor }, { email: 'Ann@Acme.com', roles })
    const statusOf = async (rbac: TestRbac, id: string) => (await rbac.invites.get({ tenantId }, id)).status

    it('makes a member with the roles, in one step and in the user’s name', async () => {
      const rbac = await team()
      const { invite, token } = await toAnn(rbac, ['developer', 'billing'])
      events = []
      const origin = { ip: '203.0.113.7', userAgent: 'test', requestId: 'r1' }
      expect(await rbac.invites.accept({ token, userId: 'ann' }, origin)).toEqual({
        ...{ tenantId, name: 'Acme Inc.', status: 'active', roles: ['developer', 'billing'] },
      })
      expect(await rbac.members.get({ tenantId }, 'ann')).toMatchObject({
        ...{ status: 'active', roles: ['developer', 'billing'], createdAt: clock.now() },
      })
      expect(await rbac.checkPermission('ann', 'billing', 'update', { tenantId })).toBe(true)
      expect(await rbac.invites.get({ tenantId }, invite.id)).toMatchObject({ status: 'accepted', uses: 1 })
      const common = { tenantId, actor: user('ann'), ...origin }
      expect(events).toMatchObject([
        { type: 'invite.accepted', ...common, before: { status: 'pending' }, after: { status: 'accepted', uses: 1 } },
        { type: 'member.added', ...common, data: { userId: 'ann' }, after: { roles: ['developer', 'billing'] } },
        { type: 'assignment.created', ...common, data: { userId: 'ann', role: 'developer' } },
        { type: 'assignment.created', ...common, data: { userId: 'ann', role: 'billing' } },
      ])
      expect(events[0]?.data).toEqual({ inviteId: invite.id, kind: 'email', userId: 'ann' })
      for (const { type, data } of events) {
        expect(rbacEvents[type as keyof typeof rbacEvents].parse(data)).toEqual(data)
      }
    })

    it('defect 5: is for a verified address that fits, in any case, and tells nobody which', async () => {
      const rbac = await team()
      const { invite, token } = await toAnn(rbac)
      for (const emails of [
        [],
        ['bob@acme.com'],
        ['ann@acme.com.evil.com'],
        ['ann@evil-acme.com'],
        ['"ann@acme.com"@evil.com'],
        ['ann@acme.com@evil.com'],
        ['ann+x@acme.com', 'a.nn@acme.com', 'ann@acme.com.', 'ann', '@acme.com', ''],
      ]) {
        const refused = rbac.invites.accept({ token, userId: 'eve', verifiedEmails: emails })
        const error = await refused.catch((error: unknown) => error)
        expect(error).toMatchObject(wrong)
        expect(JSON.stringify(error) + String(error)).not.toMatch(/ann@/i)
      }
      // The host's word about eve is asked for, not anybody else's.
      await expect(rbac.invites.accept({ token, userId: 'eve' })).rejects.toMatchObject(wrong)
      expect(await statusOf(rbac, invite.id)).toBe('pending')
      await expect(rbac.members.get({ tenantId }, 'eve')).rejects.toMatchObject({ code: 'not_found' })
      const emails = ['other@x.io', ' ANN@ACME.COM ']
      await rbac.invites.accept({ token, userId: 'ann-2', verifiedEmails: emails })
      expect((await rbac.members.get({ tenantId }, 'ann-2')).roles).toEqual(['developer'])
    })

    it('defect 5: takes no letter for another that only looks or lower-cases alike', async () => {
      const rbac = await team()
      const { token } = await rbac.invites.create({ tenantId }, { email: 'kate@acme.com', roles: ['developer'] })
      for (const email of ['\u212Aate@acme.com', 'k\u0430te@acme.com', 'kate@\u0430cme.com', 'kate@acm\u0117.com']) {
        const refused = rbac.invites.accept({ token, userId: 'eve', verifiedEmails: [email] })
        await expect(refused).rejects.toMatchObject(wrong)
      }
      await rbac.invites.accept({ token, userId: 'kate', verifiedEmails: ['KATE@ACME.com'] })
    })

    it('defect 5: by a link for some domains is for verified addresses of exactly those', async () => {
      const rbac = await team()
      const link = { domains: ['acme.com', 'münch.example'] }
      const { token } = await rbac.invites.create({ tenantId }, { link, roles: ['developer'] })
      const accept = (userId: string, ...verifiedEmails: string[]) =>
        rbac.invites.accept({ token, userId, verifiedEmails })
      for (const email of [
        ...['x@evil-acme.com', 'x@acme.com.evil.com', 'x@sub.acme.com', 'x@acme.co', 'acme.com', '@acme.com', 'x@'],
        ...['x@evil.com@acme.com', '"x@evil.com"@acme.com', '"x@evil.com x"@acme.com', 'x@evil.com,y@acme.com'],
        ...['acme.com@evil.com', 'x@acme.com@evil.com', 'x@evil.com/acme.com', 'x@acme.com/evil', 'x@acme.com?', 'x@'],
        ...['x@acme.com:80', 'x@acme.com#', 'x@acme.com%20', 'x@[acme.com]', 'x@ acme.com', 'x@acme.com\u0000'],
      ]) {
        await expect(accept('eve', email), email).rejects.toMatchObject(wrong)
      }
      await accept('a', 'nobody@x.io', 'A@Acme.COM')
      await accept('b', 'b@xn--mnch-0ra.example')
      await accept('c', 'c@MÜNCH.example')
      expect((await rbac.members.list({ tenantId })).data).toHaveLength(5)
    })

    it('defect 5: changes nothing of somebody who is on the team, suspended or not, and uses nothing up', async () => {
      const rbac = await team()
      const link = await rbac.invites.create({ tenantId }, { link: { maxUses: 1 }, roles: ['owner'] })
      const mail = await toAnn(rbac, ['admin'])
      await rbac.members.add({ tenantId }, { userId: 'ann', roles: ['read_only'] })
      const before = await rbac.members.get({ tenantId }, 'ann')
      events = []
      const both = () =>
        Promise.allSettled([link, mail].map(({ token }) => rbac.invites.accept({ token, userId: 'ann' })))
      const refused = { status: 'rejected', reason: { code: 'already_member', status: 409 } }
      expect(await both()).toMatchObject([refused, refused])
      expect(await rbac.members.get({ tenantId }, 'ann')).toEqual(before)
      expect(events).toEqual([])
      await rbac.members.suspend({ tenantId }, 'ann')
      expect(await both()).toMatchObject([refused, refused])
      expect(await rbac.members.get({ tenantId }, 'ann')).toEqual({ ...before, status: 'suspended' })
      for (const { invite } of [link, mail]) expect(await rbac.invites.get({ tenantId }, invite.id)).toEqual(invite)
      await rbac.invites.accept({ token: link.token, userId: 'new' })
    })

    it('defect 5: is done once, and one answer covers every token that is no good', async () => {
      const rbac = await team()
      const accept = (token: string, userId: string) => rbac.invites.accept({ token, userId })
      const one = async (maxUses = 1) => rbac.invites.create({ tenantId }, { link: { maxUses }, roles: ['developer'] })
      const used = await one()
      await accept(used.token, 'a')
      const revoked = await one()
      await rbac.invites.revoke({ tenantId }, revoked.invite.id)
      const replaced = await one()
      await rbac.invites.resend({ tenantId }, replaced.invite.id)
      const expired = await one()
      clock.advance(7 * day)
      const answers = new Set<string>()
      for (const token of [
        ...[used.token, revoked.token, replaced.token, expired.token, expired.invite.id],
        ...['invtok_x', 'x', `${used.token} `, used.token.toUpperCase(), '\u0000', '\ud800'],
      ]) {
        for (const call of [accept(token, 'b'), rbac.invites.preview({ token })]) {
          const error = await call.catch((error: unknown) => error)
          expect(error).toMatchObject(gone)
          answers.add(String(error))
        }
      }
      expect(answers.size).toBe(1)
      for (const token of ['', 'x'.repeat(257), 7, undefined]) {
        await expect(accept(token as string, 'b')).rejects.toMatchObject({ code: 'invalid_input' })
      }
      const twice = await one(2)
      await accept(twice.token, 'c')
      expect(await rbac.invites.get({ tenantId }, twice.invite.id)).toMatchObject({ status: 'pending', uses: 1 })
      await accept(twice.token, 'd')
      expect(await rbac.invites.get({ tenantId }, twice.invite.id)).toMatchObject({ status: 'accepted', uses: 2 })
      await expect(accept(twice.token, 'e')).rejects.toMatchObject(gone)
    })

    it('ends at the very moment that the invite does', async () => {
      const rbac = await team()
      const { token } = await rbac.invites.create({ tenantId }, { link: {}, roles: ['developer'], expiresInMs: day })
      clock.advance(day - 1)
      await rbac.invites.accept({ token, userId: 'a' })
      clock.advance(1)
      await expect(rbac.invites.accept({ token, userId: 'b' })).rejects.toMatchObject(gone)
    })

    it('is worth what the inviter could give today', async () => {
      const rbac = await team()
      await rbac.assignments.assign({ tenantId }, { userId: 'otto', role: 'owner' })
      const made = await toAnn(rbac, ['admin'], user('adam'))
      const accept = (token = made.token) => rbac.invites.accept({ token, userId: 'ann' })
      const isVoid = { code: 'invite_void', status: 409, detail: expect.stringContaining('Ask for a new one') }
      const asAdam = async (change: () => Promise<unknown>, undo: () => Promise<unknown>) => {
        await change()
        await expect(accept()).rejects.toMatchObject(isVoid)
        await undo()
      }
      const { members } = rbac
      const scope = { tenantId }
      await asAdam(
        () => members.setRoles(scope, 'adam', { roles: ['developer'] }),
        () => members.setRoles(scope, 'adam', { roles: ['admin'] }),
      )
      await asAdam(
        () => members.suspend(scope, 'adam'),
        () => members.reactivate(scope, 'adam'),
      )
      await members.remove(scope, 'adam')
      await expect(accept()).rejects.toMatchObject(isVoid)
      expect(await rbac.invites.get(scope, made.invite.id)).toMatchObject({ status: 'pending', uses: 0 })
      await expect(members.get(scope, 'ann')).rejects.toMatchObject({ code: 'not_found' })

      // Whoever sends it again stands behind it from then on.
      const again = await rbac.invites.resend({ tenantId, actor: user('otto') }, made.invite.id)
      await expect(accept()).rejects.toMatchObject(gone)
      expect(await accept(again.token)).toMatchObject({ roles: ['admin'] })
    })

    it('of one made with rights that have ended is refused, and of the host’s own code is not', async () => {
      const rbac = await team()
      await rbac.assignments.assign({ tenantId }, { userId: 'tom', role: 'admin' })
      const byTom = await rbac.invites.create(
        { tenantId, actor: user('tom') },
        { link: {}, roles: ['developer'], expiresInMs: 9 * day },
      )
      await rbac.assignments.assign({ tenantId }, { userId: 'tom', role: 'admin', expiresAt: clock.now() + day })
      const accept = ({ token }: { token: string }) => rbac.invites.accept({ token, userId: 'ann' })
      await expect(accept(byTom)).rejects.toMatchObject({ code: 'invite_void' })
      clock.advance(day)
      await expect(accept(byTom)).rejects.toMatchObject({ code: 'invite_void' })
      const bySystem = await rbac.invites.create({ tenantId }, { link: {}, roles: ['owner'] })
      expect(await accept(bySystem)).toMatchObject({ roles: ['owner'] })
    })

    it('of one that a key made is worth what the key can do, and nothing once it is revoked', async () => {
      const rbac = await team()
      const scopes = ['team:create', 'keys:*', 'analytics:read'] as const
      const { key } = await rbac.keys.create({ tenantId, actor: user('adam') }, { name: 'Onboarding', scopes })
      const scope = { tenantId, actor: { type: 'key' as const, id: key.id } }
      const create = (role: string) => rbac.invites.create(scope, { link: {}, roles: [role] })
      await expect(create('admin')).rejects.toMatchObject({ code: 'exceeds_own_rights' })
      const { invite, token } = await create('developer')
      expect(invite.invitedBy).toEqual(scope.actor)
      await rbac.invites.accept({ token, userId: 'a' })
      await rbac.members.setRoles({ tenantId }, 'adam', { roles: ['billing'] })
      await expect(rbac.invites.accept({ token, userId: 'b' })).rejects.toMatchObject({ code: 'invite_void' })
      await rbac.members.setRoles({ tenantId }, 'adam', { roles: ['admin'] })
      await rbac.invites.accept({ token, userId: 'b' })
      await rbac.keys.revoke({ tenantId }, key.id)
      await expect(rbac.invites.accept({ token, userId: 'c' })).rejects.toMatchObject({ code: 'invite_void' })
    })

    it('lets nobody in for somebody who is gone, not even with a role that grants nothing', async () => {
      const rbac = await team(make({ roles: { ...predefinedRoles, guest: {} } }))
      const { token } = await rbac.invites.create({ tenantId, actor: user('adam') }, { link: {}, roles: ['guest'] })
      await rbac.members.remove({ tenantId }, 'adam')
      await expect(rbac.invites.accept({ token, userId: 'ann' })).rejects.toMatchObject({ code: 'invite_void' })
    })

    it('lets nobody in for a key that has ended, not even with a role that grants nothing', async () => {
      const rbac = await team(make({ roles: { ...predefinedRoles, guest: {} } }))
      const offer = async (more = {}) => {
        const { key } = await rbac.keys.create(
          { tenantId, actor: user('adam') },
          { name: 'Onboarding', scopes: ['team:create'], ...more },
        )
        const scope = { tenantId, actor: { type: 'key' as const, id: key.id } }
        return { key, ...(await rbac.invites.create(scope, { link: {}, roles: ['guest'] })) }
      }
      const void_ = { code: 'invite_void' }
      const revoked = await offer()
      await rbac.invites.accept({ token: revoked.token, userId: 'ann' })
      await rbac.keys.revoke({ tenantId }, revoked.key.id)
      await expect(rbac.invites.accept({ token: revoked.token, userId: 'bob' })).rejects.toMatchObject(void_)
      const expired = await offer({ expiresAt: clock.now() + 1000 })
      clock.advance(1000)
      await expect(rbac.invites.accept({ token: expired.token, userId: 'bob' })).rejects.toMatchObject(void_)
      const orphan = await offer()
      await rbac.members.suspend({ tenantId }, 'adam')
      await expect(rbac.invites.accept({ token: orphan.token, userId: 'bob' })).rejects.toMatchObject(void_)
    })

    it('defect 7: gives no role that is gone', async () => {
      const rbac = await team(make({ roles: { ...predefinedRoles, temp: { permissions: ['keys:read'] } } }))
      const { token } = await rbac.invites.create({ tenantId }, { link: {}, roles: ['developer', 'temp'] })
      await expect(make().invites.accept({ token, userId: 'ann' })).rejects.toMatchObject({ code: 'invite_void' })
      expect(await rbac.invites.accept({ token, userId: 'ann' })).toMatchObject({ roles: ['developer', 'temp'] })
    })

    it('asks the host whose address is whose before it locks anything, and says if it cannot', async () => {
      const rbac = await team()
      const { token } = await toAnn(rbac)
      const asked: unknown[] = []
      const careful = make({
        invites: {
          async verifiedEmails(userId, { tx }) {
            asked.push([userId, tx])
            // With a pool of one connection this hangs inside a transaction of ours.
            await opened.storage.run(({ tenants }) => tenants.find(tenantId), tx)
            return ['x@acme.com']
          },
        },
      })
      await expect(careful.invites.accept({ token, userId: 'ann' })).rejects.toMatchObject(wrong)
      await opened.transaction(async (tx) => {
        await expect(careful.invites.accept({ token, userId: 'ann' }, { tx })).rejects.toMatchObject(wrong)
        expect(asked).toEqual([
          ['ann', undefined],
          ['ann', tx],
        ])
      })
      const plain = make({ invites: {} })
      const setup = { code: 'setup_error', detail: expect.stringContaining('invites: { verifiedEmails') }
      await expect(plain.invites.accept({ token, userId: 'ann' })).rejects.toMatchObject(setup)
      const domains = await plain.invites.create({ tenantId }, { link: { domains: ['a.b'] }, roles: ['developer'] })
      await expect(plain.invites.accept({ token: domains.token, userId: 'a' })).rejects.toMatchObject(setup)
      // Where no address matters, or the host says which, nobody is asked.
      const open = await plain.invites.create({ tenantId }, { link: {}, roles: ['developer'] })
      await plain.invites.accept({ token: open.token, userId: 'bob' })
      await plain.invites.accept({ token, userId: 'ann', verifiedEmails: ['ann@acme.com'] })
    })

    it('lives and dies with the host’s transaction', async () => {
      const rbac = await team()
      const { invite, token } = await toAnn(rbac)
      const accepted = (undo: boolean) =>
        opened.transaction(async (tx) => {
          await rbac.invites.accept({ token, userId: 'ann' }, { tx })
          expect(await rbac.checkPermission('ann', 'keys', 'create', { tenantId, tx })).toBe(true)
          if (undo) throw new Error('undo')
        })
      await expect(accepted(true)).rejects.toThrow('undo')
      expect(await statusOf(rbac, invite.id)).toBe('pending')
      await expect(rbac.members.get({ tenantId }, 'ann')).rejects.toMatchObject({ code: 'not_found' })
      await accepted(false)
      expect(await statusOf(rbac, invite.id)).toBe('accepted')
    })

    it('leaves nothing when a sink fails', async () => {
      const rbac = await team()
      const { invite, token } = await toAnn(rbac)
      for (const failing of ['invite.accepted', 'member.added', 'assignment.created']) {
        const broken = make({
          events({ type }) {
            if (type === failing) throw new Error('the sink failed')
          },
        })
        const accept = broken.invites.accept({ token, userId: 'ann', verifiedEmails: ['ann@acme.com'] })
        await expect(accept).rejects.toThrow('the sink failed')
        expect(await rbac.invites.get({ tenantId }, invite.id)).toMatchObject({ status: 'pending', uses: 0 })
        await expect(rbac.members.get({ tenantId }, 'ann')).rejects.toMatchObject({ code: 'not_found' })
      }
    })

    it('can be looked at first, without anybody’s id or whole address', async () => {
      const rbac = await team()
      const { invite, token } = await toAnn(rbac, ['read_only', 'billing'], user('olga'))
      const preview = await rbac.invites.preview({ token })
      expect(preview).toEqual({
        ...{
          kind: 'email',
          tenantName: 'Acme Inc.',
          roleNames: ['Read Only', 'Billing'],
          maskedEmail: 'A***@Acme.com',
        },
        ...{ domains: [], expiresAt: invite.expiresAt },
      })
      const link = await rbac.invites.create({ tenantId }, { link: { domains: ['acme.com'] }, roles: ['developer'] })
      expect(await rbac.invites.preview({ token: link.token })).toMatchObject({
        ...{ kind: 'link', maskedEmail: null, domains: ['acme.com'] },
      })
    })
  })
}
