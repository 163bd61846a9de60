import type { Actor, DomainEvent } from '@org/core'
import { fakeClock, type OpenTarget, recordingLogger } from '@org/core/testing'
import { createRbac, type InviteMail, predefinedRoles, type RbacStorage, rbacEvents } from '@org/rbac'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { storages } from './storages.js'

const user = (id: string): Actor => ({ type: 'user', id })
const day = 24 * 60 * 60 * 1000

for (const { name, missing, open } of await storages()) {
  describe.skipIf(missing)(`invites on ${name}`, () => {
    let opened: OpenTarget<RbacStorage>
    let tenants = 0
    let tenantId = ''
    let events: DomainEvent[] = []
    let mails: InviteMail[] = []
    let failWith: unknown
    let logger = recordingLogger()
    const clock = fakeClock()

    beforeAll(async () => {
      opened = await open({ pool: 1 })
    })
    afterAll(() => opened.close())
    beforeEach(() => {
      tenantId = `tenant ${++tenants}`
      events = []
      mails = []
      failWith = undefined
      logger = recordingLogger()
    })

    const make = (options: Parameters<typeof createRbac>[0] = {}) =>
      createRbac({
        storage: opened.storage,
        clock,
        logger,
        events: (event) => void events.push(event),
        invites: {
          async send(mail) {
            mails.push(mail)
            if (failWith !== undefined) throw failWith
          },
        },
        ...options,
      })
    const team = async () => {
      const rbac = make()
      await rbac.tenants.create({ tenantId }, { ownerId: 'olga', name: 'Acme Inc.' })
      await rbac.assignments.assign({ tenantId }, { userId: 'adam', role: 'admin' })
      events = []
      return rbac
    }
    const types = () => events.map(({ type }) => type)

    it('are made for an address, mailed after the commit, and show their token once', async () => {
      const rbac = await team()
      const actor = user('adam')
      const { invite, token } = await rbac.invites.create(
        { tenantId, actor },
        { email: ' Ann@Acme.COM ', roles: ['developer', 'admin', 'developer'] },
      )
      const now = clock.now()
      expect(invite).toEqual({
        ...{ id: expect.stringMatching(/^inv_/), tenantId, kind: 'email', email: 'Ann@Acme.COM', domains: [] },
        ...{ maxUses: 1, uses: 0, roles: ['developer', 'admin'], invitedBy: actor, status: 'pending' },
        ...{ sentAt: now, sendError: null, expiresAt: now + 7 * day, createdAt: now },
      })
      // 256 bits in base64url.
      expect(token).toMatch(/^invtok_[\w-]{43}$/)
      expect(mails).toEqual([
        { to: 'Ann@Acme.COM', invite: { ...invite, sentAt: null }, token, tenantId, tenantName: 'Acme Inc.' },
      ])
      expect(await rbac.invites.get({ tenantId }, invite.id)).toEqual(invite)
      expect((await rbac.invites.list({ tenantId })).data).toEqual([invite])
      const [event] = events
      expect(events).toHaveLength(1)
      expect(event).toMatchObject({
        ...{ type: 'invite.created', tenantId, actor, resource: { type: 'invite', id: invite.id } },
        ...{
          data: { inviteId: invite.id, kind: 'email' },
          after: { email: 'Ann@Acme.COM', roles: ['developer', 'admin'] },
        },
      })
      expect(rbacEvents['invite.created'].strict().parse(event?.data)).toEqual(event?.data)
      expect(event?.after).not.toHaveProperty('tenantId')
    })

    it('are made as links, which are mailed to nobody', async () => {
      const rbac = await team()
      const link = { domains: ['ACME.com', 'münch.example', 'acme.com'], maxUses: 3 }
      const { invite } = await rbac.invites.create({ tenantId }, { link, roles: ['developer'], expiresInMs: day })
      expect(invite).toMatchObject({
        ...{ kind: 'link', email: null, domains: ['acme.com', 'xn--mnch-0ra.example'], maxUses: 3, sentAt: null },
        ...{ expiresAt: clock.now() + day, invitedBy: { type: 'system', id: 'system' } },
      })
      const open = await rbac.invites.create({ tenantId }, { link: {}, roles: ['developer'] })
      expect(open.invite).toMatchObject({ domains: [], maxUses: null })
      expect(mails).toEqual([])
    })

    it('take one thing or the other, real addresses and known roles', async () => {
      const rbac = await team()
      const refused = async (input: object, pointer: string, detail = '') =>
        expect(rbac.invites.create({ tenantId }, input as never)).rejects.toMatchObject({
          code: 'invalid_input',
          errors: expect.arrayContaining([{ pointer, detail: expect.stringContaining(detail) }]),
        })
      const roles = ['developer']
      await refused({ roles }, '/email', 'either `email` or `link`')
      await refused({ email: 'a@b.c', link: {}, roles }, '/email', 'either `email` or `link`')
      await refused({ email: 'a@b.c' }, '/roles')
      await refused({ email: 'a@b.c', roles: [] }, '/roles')
      await refused({ email: 'a@b.c', roles: ['developer', 'boss'] }, '/roles/1', 'known values: owner, admin')
      await refused({ email: 'a@b.c', roles, tenantId: 't' }, '/tenantId', 'unknown field')
      await refused({ link: { domain: 'b.c' }, roles }, '/link/domain', 'unknown field')
      // An empty list must not mean all.
      await refused({ link: { domains: [] }, roles }, '/link/domains')
      for (const maxUses of [0, 1.5, -1]) await refused({ link: { maxUses }, roles }, '/link/maxUses')
      for (const expiresInMs of [0, 59_999, 367 * day, 0.5, Number.NaN]) {
        await refused({ link: {}, roles, expiresInMs }, '/expiresInMs')
      }
      for (const email of ['', 'ann', '@acme.com', 'ann@', 'a b@acme.com', 'ann@acme.com/x', 'ann@ac\u0000me.com', 7]) {
        await refused({ email, roles }, '/email')
      }
      for (const domain of [
        '',
        'acme.com/x',
        'acme.com?',
        '@acme.com',
        'acme.com:80',
        'a b.com',
        'acme..com',
        '[::1]',
      ]) {
        await refused({ link: { domains: [domain] }, roles }, '/link/domains/0', 'must be a domain')
      }
      for (const scope of [{}, { tenantId: '' }, { tenantId, actor: null }]) {
        await expect(rbac.invites.create(scope as never, { email: 'a@b.c', roles })).rejects.toMatchObject({
          code: 'invalid_input',
        })
      }
      expect([events, mails]).toEqual([[], []])
    })

    it('defect 3: offer no more than whoever invites holds', async () => {
      const rbac = await team()
      const invite = (actor: Actor, role: string) =>
        rbac.invites.create({ tenantId, actor }, { email: 'ann@acme.com', roles: [role] })
      const refused = (missing: string[]) => ({ code: 'exceeds_own_rights', extensions: { missing } })
      await expect(invite(user('adam'), 'owner')).rejects.toMatchObject(refused(['*']))
      await expect(invite(user('adam'), 'billing')).rejects.toMatchObject(refused(['billing:*']))
      await expect(invite(user('stranger'), 'developer')).rejects.toMatchObject({ code: 'exceeds_own_rights' })
      expect([events, mails]).toEqual([[], []])
      // With rights until tomorrow nobody lets others in for ever.
      await rbac.assignments.assign({ tenantId }, { userId: 'tom', role: 'admin', expiresAt: clock.now() + day })
      await expect(invite(user('tom'), 'developer')).rejects.toMatchObject({ code: 'exceeds_own_rights' })
      const { invite: made } = await invite(user('olga'), 'owner')
      await expect(rbac.invites.resend({ tenantId, actor: user('adam') }, made.id)).rejects.toMatchObject(
        refused(['*']),
      )
      expect(await rbac.invites.get({ tenantId }, made.id)).toEqual(made)
    })

    it('are pending once for an address, whatever its case, until it is revoked or expires', async () => {
      const rbac = await team()
      const create = (email: string) => rbac.invites.create({ tenantId }, { email, roles: ['developer'] })
      const first = await create('ann@münch.example')
      for (const email of ['ANN@Münch.example', 'ann@xn--mnch-0ra.example']) {
        await expect(create(email)).rejects.toMatchObject({
          ...{ code: 'already_invited', status: 409, extensions: { inviteId: first.invite.id } },
        })
      }
      // The Kelvin sign's lower case is k, and it is not the same mailbox.
      await create('kate@acme.com')
      await create('\u212Aate@acme.com')
      await rbac.invites.create({ tenantId: `${tenantId} b` }, { email: 'ann@münch.example', roles: ['developer'] })
      await rbac.invites.revoke({ tenantId }, first.invite.id)
      const second = await create('ann@münch.example')
      clock.advance(7 * day)
      const third = await create('ann@münch.example')
      expect((await rbac.invites.get({ tenantId }, second.invite.id)).status).toBe('expired')
      await expect(rbac.invites.resend({ tenantId }, second.invite.id)).rejects.toMatchObject({
        ...{ code: 'already_invited', extensions: { inviteId: third.invite.id } },
      })
      await rbac.invites.resend({ tenantId }, third.invite.id)
    })

    it('are sent again with a new token and a new end, in the name of whoever does', async () => {
      const rbac = await team()
      const { invite, token } = await rbac.invites.create({ tenantId }, { email: 'ann@acme.com', roles: ['developer'] })
      clock.advance(8 * day)
      events = []
      const again = await rbac.invites.resend({ tenantId, actor: user('adam') }, invite.id, { expiresInMs: 2 * day })
      const now = clock.now()
      expect(again.invite).toEqual({
        ...{ ...invite, invitedBy: user('adam'), expiresAt: now + 2 * day, sentAt: now },
      })
      expect(again.token).not.toBe(token)
      expect(mails.map((mail) => mail.token)).toEqual([token, again.token])
      expect(types()).toEqual(['invite.resent'])
      expect(events[0]).toMatchObject({ before: { status: 'expired' }, after: { status: 'pending' } })
      await expect(rbac.invites.preview({ token })).rejects.toMatchObject({ code: 'invite_not_found' })
      expect(await rbac.invites.preview({ token: again.token })).toMatchObject({ roleNames: ['Developer'] })
    })

    it('are revoked once', async () => {
      const rbac = await team()
      const { invite, token } = await rbac.invites.create({ tenantId }, { email: 'ann@acme.com', roles: ['developer'] })
      events = []
      await rbac.invites.revoke({ tenantId, actor: user('adam') }, invite.id)
      await rbac.invites.revoke({ tenantId, actor: user('adam') }, invite.id)
      expect(types()).toEqual(['invite.revoked'])
      expect(events[0]).toMatchObject({ before: { status: 'pending' }, after: { status: 'revoked' } })
      expect((await rbac.invites.get({ tenantId }, invite.id)).status).toBe('revoked')
      await expect(rbac.invites.resend({ tenantId }, invite.id)).rejects.toMatchObject({ code: 'invite_closed' })
      await expect(rbac.invites.preview({ token })).rejects.toMatchObject({ code: 'invite_not_found', status: 404 })
      const link = await rbac.invites.create({ tenantId }, { link: { maxUses: 1 }, roles: ['developer'] })
      await rbac.invites.accept({ token: link.token, userId: 'ann' })
      for (const change of [rbac.invites.revoke, rbac.invites.resend] as const) {
        await expect(change({ tenantId }, link.invite.id)).rejects.toMatchObject({ code: 'invite_closed', status: 409 })
      }
    })

    it('are listed by status, the newest first, and are another tenant’s to nobody', async () => {
      const rbac = await team()
      const ids: string[] = []
      for (const email of ['a@x.io', 'b@x.io', 'c@x.io']) {
        ids.unshift((await rbac.invites.create({ tenantId }, { email, roles: ['developer'] })).invite.id)
      }
      await rbac.invites.revoke({ tenantId }, ids[1] ?? '')
      const list = async (query: object) => (await rbac.invites.list({ tenantId }, query)).data.map(({ id }) => id)
      expect(await list({})).toEqual(ids)
      expect(await list({ status: 'pending' })).toEqual([ids[0], ids[2]])
      expect(await list({ status: 'revoked' })).toEqual([ids[1]])
      const first = await rbac.invites.list({ tenantId }, { limit: 2 })
      expect(first.data.map(({ id }) => id)).toEqual(ids.slice(0, 2))
      expect(await list({ limit: 2, cursor: first.next })).toEqual(ids.slice(2))
      clock.advance(7 * day)
      expect([await list({ status: 'pending' }), await list({ status: 'expired' })]).toEqual([[], [ids[0], ids[2]]])
      await expect(rbac.invites.list({ tenantId }, { status: 'open' as never })).rejects.toMatchObject({
        code: 'invalid_input',
      })

      const other = { tenantId: `${tenantId} b` }
      const id = ids[0] ?? ''
      expect((await rbac.invites.list(other)).data).toEqual([])
      for (const call of [rbac.invites.get, rbac.invites.resend, rbac.invites.revoke] as const) {
        await expect(call(other, id)).rejects.toMatchObject({ code: 'not_found', status: 404 })
        await expect(call({ tenantId }, 'inv_none')).rejects.toMatchObject({ code: 'not_found' })
        await expect(call({ tenantId }, 'a b')).rejects.toMatchObject({ code: 'invalid_input' })
      }
    })

    it('stay when the mailer fails, and say so without the token', async () => {
      const rbac = await team()
      const create = (email: string) => rbac.invites.create({ tenantId }, { email, roles: ['developer'] })
      failWith = Object.assign(new Error('connect ECONNREFUSED 127.0.0.1:25'), { code: 'ECONNREFUSED' })
      const { invite, token } = await create('ann@acme.com')
      expect(invite).toMatchObject({ status: 'pending', sentAt: null, sendError: 'ECONNREFUSED' })
      expect(await rbac.invites.get({ tenantId }, invite.id)).toEqual(invite)
      expect(logger.entries).toEqual([
        {
          ...{ level: 'error', message: 'An invite could not be sent' },
          fields: { inviteId: invite.id, name: 'Error', code: 'ECONNREFUSED', reason: expect.stringContaining(':25') },
        },
      ])
      expect(await rbac.invites.preview({ token })).toMatchObject({ tenantName: 'Acme Inc.' })

      // A mailer that quotes the mail, or throws something odd.
      for (const odd of [
        'quotes',
        'cuts',
        'folds',
        'text',
        null,
        Object.assign(new Error('x'), { code: 'no <b>word' }),
      ]) {
        const sending = make({
          invites: {
            async send(mail) {
              const { token } = mail
              if (odd === 'quotes') throw new Error(`550 rejected: https://app/?t=${token}`)
              if (odd === 'cuts') throw new Error(`550 rejected: https://app/?t=${token.slice(0, -3)}`)
              // As quoted-printable breaks lines.
              if (odd === 'folds') throw new Error(`550 rejected: ${token.slice(0, 30)}=\r\n${token.slice(30)}`)
              throw odd
            },
          },
        })
        logger.entries.length = 0
        const again = await sending.invites.resend({ tenantId }, invite.id)
        expect(again.invite).toMatchObject({ sentAt: null, sendError: 'send_failed' })
        expect(logger.entries).toHaveLength(1)
        expect(JSON.stringify(logger.entries)).not.toContain(again.token.slice(7, 27))
      }

      failWith = undefined
      const resent = await rbac.invites.resend({ tenantId }, invite.id)
      expect(resent.invite).toMatchObject({ sentAt: clock.now(), sendError: null })
      expect(await rbac.invites.get({ tenantId }, invite.id)).toEqual(resent.invite)
    })

    it('are mailed by nobody in a transaction of the host’s, which may be undone', async () => {
      const rbac = await team()
      const invited = async (undo: boolean) => {
        let made: Awaited<ReturnType<typeof rbac.invites.create>> | undefined
        const work = opened.transaction(async (tx) => {
          made = await rbac.invites.create({ tenantId, tx }, { email: 'ann@acme.com', roles: ['developer'] })
          expect((await rbac.invites.get({ tenantId, tx }, made.invite.id)).sentAt).toBeNull()
          expect(await rbac.invites.preview({ token: made.token }, { tx })).toMatchObject({ tenantName: 'Acme Inc.' })
          if (undo) throw new Error('undo')
        })
        await (undo ? expect(work).rejects.toThrow('undo') : work)
        return made
      }
      const undone = await invited(true)
      await expect(rbac.invites.preview({ token: undone?.token ?? '' })).rejects.toMatchObject({
        code: 'invite_not_found',
      })
      const made = await invited(false)
      expect(mails).toEqual([])
      expect(made?.invite).toMatchObject({ sentAt: null, sendError: null })
      const resent = await rbac.invites.resend({ tenantId }, made?.invite.id ?? '')
      expect(mails.map(({ token }) => token)).toEqual([resent.token])
    })

    it('are not there, and not mailed, when a sink fails', async () => {
      await team()
      const failing = make({
        events() {
          throw new Error('the sink failed')
        },
        invites: { send: async (mail) => void mails.push(mail) },
      })
      const create = failing.invites.create({ tenantId }, { email: 'ann@acme.com', roles: ['developer'] })
      await expect(create).rejects.toThrow('the sink failed')
      expect(mails).toEqual([])
      expect((await failing.invites.list({ tenantId })).data).toEqual([])
    })

    it('to an address are listed with the team when asked for, and count as no members', async () => {
      const rbac = await team()
      const { invite } = await rbac.invites.create({ tenantId }, { email: 'Ann@acme.com', roles: ['developer'] })
      await rbac.invites.create({ tenantId }, { link: {}, roles: ['developer'] })
      const revoked = await rbac.invites.create({ tenantId }, { email: 'bob@acme.com', roles: ['developer'] })
      await rbac.invites.revoke({ tenantId }, revoked.invite.id)
      const { id: inviteId, roles, createdAt } = invite
      expect(await rbac.members.list({ tenantId }, { status: 'invited' })).toEqual({
        data: [{ inviteId, tenantId, userId: null, email: 'Ann@acme.com', status: 'invited', roles, createdAt }],
        next: null,
      })
      expect((await rbac.members.list({ tenantId })).data.map(({ userId }) => userId)).toEqual(['adam', 'olga'])
      expect((await rbac.members.list({ tenantId }, { status: 'invited', limit: 1 })).next).toBeNull()
    })

    it('last as long as the option says, which must make sense', async () => {
      const rbac = make({ invites: { expiresInMs: day } })
      const { invite } = await rbac.invites.create({ tenantId }, { link: {}, roles: ['developer'] })
      expect(invite.expiresAt).toBe(clock.now() + day)
      for (const expiresInMs of [0, 1.5, Number.NaN, 400 * day]) {
        expect(() => make({ invites: { expiresInMs } })).toThrow('invites.expiresInMs')
      }
    })

    it('defect 7: keep a role of the tenant’s from being deleted, and are not revived by another of its name', async () => {
      const rbac = await team()
      const scope = { tenantId }
      const role = { key: 'support', permissions: ['keys:read'] } as const
      await rbac.roles.create(scope, role)
      const { invite, token } = await rbac.invites.create(scope, { link: {}, roles: ['support'] })
      const inUse = { code: 'role_in_use', status: 409 }
      await expect(rbac.roles.delete(scope, 'support')).rejects.toMatchObject(inUse)
      clock.advance(7 * day)
      await rbac.roles.delete(scope, 'support')
      await rbac.roles.create(scope, { ...role, permissions: ['keys:*'] })
      await expect(rbac.invites.resend(scope, invite.id)).rejects.toMatchObject({ code: 'invite_void' })
      await expect(rbac.invites.accept({ token, userId: 'ann' })).rejects.toMatchObject({ code: 'invite_not_found' })
    })

    it('hold on to the roles that they give', async () => {
      const rbac = make({ roles: { ...predefinedRoles, temp: { permissions: ['keys:read'] } } })
      const { invite } = await rbac.invites.create({ tenantId }, { link: {}, roles: ['temp', 'developer'] })
      const using = (...roleIds: string[]) =>
        opened.storage.run(({ invites }) => invites.pendingWithRoles(tenantId, roleIds, clock.now()))
      expect((await using('temp')).map(({ id }) => id)).toEqual([invite.id])
      expect(await using('owner')).toEqual([])
      // The host's code no longer has the role.
      await expect(make().invites.resend({ tenantId }, invite.id)).rejects.toMatchObject({ code: 'invite_void' })
      await rbac.invites.revoke({ tenantId }, invite.id)
      expect(await using('temp')).toEqual([])
    })
  })
}
