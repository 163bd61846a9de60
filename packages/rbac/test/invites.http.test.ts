import { fakeClock, type HttpServer, httpTargets, mounted, recordingLogger } from '@org/core/testing'
import { createRbac, memoryStorage, type Rbac } from '@org/rbac'
import { rbacRouter } from '@org/rbac/express'
import { rbacRouter as koaRbacRouter } from '@org/rbac/koa'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { client } from './http-client.js'

const logger = recordingLogger()

for (const target of httpTargets()) {
  describe(`invites over HTTP on ${target.name}`, () => {
    const clock = fakeClock()
    let rbac: Rbac
    let server: HttpServer
    const ask = client(() => server.url)
    const invite = { email: 'Ann@acme.com', roles: ['developer'] }

    beforeEach(async () => {
      const verified: Record<string, string[]> = { ann: ['ann@acme.com'], bob: ['bob@acme.com'] }
      rbac = createRbac({
        storage: memoryStorage(),
        clock,
        logger,
        invites: { send: async () => {}, verifiedEmails: async (userId) => verified[userId] ?? [] },
      })
      await rbac.tenants.create({ tenantId: 'acme' }, { ownerId: 'olga', name: 'Acme Inc.' })
      await rbac.tenants.create({ tenantId: 'globex' }, { ownerId: 'gus' })
      for (const [userId, role] of [
        ['adam', 'admin'],
        ['dev', 'developer'],
        ['rea', 'read_only'],
      ] as const) {
        await rbac.assignments.assign({ tenantId: 'acme' }, { userId, role })
      }
      const known = rbac.context(({ userId, tenantId }: { userId: string; tenantId: string }) => ({ userId, tenantId }))
      const context = (get: (name: string) => string | undefined) => {
        const [userId = '', tenantId = ''] = [get('x-user'), get('x-tenant')]
        if (userId !== 'a-key') return userId ? known({ userId, tenantId }) : null
        return { tenantId, actor: { type: 'key' as const, id: 'ann' }, ability: { can: () => true } }
      }
      const host = mounted(rbac.http, {
        express: () => rbacRouter(rbac, { context: (req) => context((name) => req.get(name)) }),
        koa: () => koaRbacRouter(rbac, { context: (ctx) => context((name) => ctx.get(name)) }),
      })
      server = await target.listen(host)
    })
    afterEach(() => server.close())

    it('an invite lives from POST /invites to POST /invites/accept', async () => {
      const made = await ask('adam', 'POST /invites', { body: invite })
      expect(made.status).toBe(201)
      expect(made.headers.get('cache-control')).toBe('no-store')
      const shown = {
        ...{
          id: expect.stringMatching(/^inv_/),
          kind: 'email',
          email: 'Ann@acme.com',
          domains: [],
          maxUses: 1,
          uses: 0,
        },
        ...{ roles: ['developer'], invitedBy: { type: 'user', id: 'adam' }, status: 'pending', sendError: null },
        ...{ sentAt: '2026-01-01T00:00:00.000Z', createdAt: '2026-01-01T00:00:00.000Z' },
        expiresAt: '2026-01-08T00:00:00.000Z',
      }
      expect(made.body).toEqual({ invite: shown, token: expect.stringMatching(/^invtok_/) })
      const { id } = made.body.invite
      expect((await ask('rea', `GET /invites/${id}`)).body).toEqual(shown)
      expect((await ask('rea', 'GET /invites?status=pending&limit=1')).body).toEqual({ data: [shown], next: null })
      expect((await ask('rea', 'GET /members?status=invited')).body.data).toEqual([
        {
          ...{ inviteId: id, userId: null, email: 'Ann@acme.com', status: 'invited', roles: ['developer'] },
          createdAt: '2026-01-01T00:00:00.000Z',
        },
      ])
      const twin = await ask('adam', 'POST /invites', { body: invite })
      expect([twin.status, twin.body.code, twin.body.inviteId]).toEqual([409, 'already_invited', id])

      const again = await ask('olga', `POST /invites/${id}/resend`)
      expect([again.status, again.body.invite.invitedBy.id]).toEqual([200, 'olga'])
      const { token } = again.body
      const old = await ask('ann@globex', 'POST /invites/accept', { body: { token: made.body.token } })
      expect([old.status, old.body.code]).toEqual([404, 'invite_not_found'])
      expect((await ask(null, 'POST /invites/preview', { body: { token } })).body).toEqual({
        ...{
          kind: 'email',
          tenantName: 'Acme Inc.',
          roleNames: ['Developer'],
          maskedEmail: 'A***@acme.com',
          domains: [],
        },
        expiresAt: '2026-01-08T00:00:00.000Z',
      })

      const bob = await ask('bob@globex', 'POST /invites/accept', { body: { token } })
      expect([bob.status, bob.body.code]).toEqual([403, 'invite_wrong_email'])
      // The caller is in another tenant at the moment, or in none.
      const ann = await ask('ann@globex', 'POST /invites/accept', { body: { token } })
      expect([ann.status, ann.body]).toEqual([
        200,
        { tenantId: 'acme', name: 'Acme Inc.', status: 'active', roles: ['developer'] },
      ])
      expect((await ask('ann', 'GET /me')).body.roles).toEqual(['developer'])
      const closed = await ask('olga', `DELETE /invites/${id}`)
      expect([closed.status, closed.body.code]).toEqual([409, 'invite_closed'])
      const [entry] = (await ask('olga', 'GET /audit?action=invite.accepted')).body.data
      expect(entry).toMatchObject({ actor: { type: 'user', id: 'ann' }, data: { inviteId: id, userId: 'ann' } })
    })

    it('a link is revoked', async () => {
      const made = await ask('adam', 'POST /invites', {
        body: { link: { domains: ['acme.com'] }, roles: ['developer'] },
      })
      const { invite, token } = made.body
      const gone = await ask('adam', `DELETE /invites/${invite.id}`)
      expect([gone.status, gone.body]).toEqual([204, undefined])
      expect((await ask('adam', `GET /invites/${invite.id}`)).body.status).toBe('revoked')
      expect((await ask('ann', 'POST /invites/accept', { body: { token } })).status).toBe(404)
    })

    it('defect 1: who accepts is whoever is signed in, whatever the body says', async () => {
      const { token } = (await ask('adam', 'POST /invites', { body: invite })).body
      for (const claim of [
        { userId: 'ann' },
        { verifiedEmails: ['ann@acme.com'] },
        { actor: { type: 'user', id: 'ann' } },
      ]) {
        expect((await ask(null, 'POST /invites/accept', { body: { token, ...claim } })).status).toBe(401)
        const claimed = await ask('bob', 'POST /invites/accept', { body: { token, ...claim } })
        expect([claimed.status, claimed.body.code]).toEqual([422, 'invalid_input'])
      }
      // A key is nobody who could join, not even one with a user's id.
      const key = await ask('a-key', 'POST /invites/accept', { body: { token } })
      expect([key.status, key.body.code]).toEqual([403, 'forbidden'])
      expect((await ask('rea', 'GET /members')).body.data).toHaveLength(4)
    })

    it('defect 2: another tenant’s invites are not there', async () => {
      const { id } = (await ask('adam', 'POST /invites', { body: invite })).body.invite
      for (const request of [`GET /invites/${id}`, `POST /invites/${id}/resend`, `DELETE /invites/${id}`]) {
        const swapped = await ask('gus@globex', request)
        expect([request, swapped.status, swapped.body.code]).toEqual([request, 404, 'not_found'])
      }
      expect((await ask('gus@globex', 'GET /invites')).body.data).toEqual([])
      expect((await ask('adam', `GET /invites/${id}`)).body.status).toBe('pending')
    })

    it('wants rights over the team, and hands out no more than the caller holds', async () => {
      const { id } = (await ask('adam', 'POST /invites', { body: invite })).body.invite
      for (const [request, action, body] of [
        ['GET /invites', 'read', undefined],
        ['POST /invites', 'create', { ...invite, email: 'x@acme.com' }],
        [`GET /invites/${id}`, 'read', undefined],
        [`POST /invites/${id}/resend`, 'create', undefined],
        [`DELETE /invites/${id}`, 'delete', undefined],
      ] as const) {
        const refused = await ask('dev', request, { body })
        expect([request, refused.status]).toEqual([request, 403])
        expect(refused.body).toMatchObject({ code: 'forbidden', action, resource: 'team' })
      }
      const above = await ask('adam', 'POST /invites', { body: { email: 'x@acme.com', roles: ['owner'] } })
      expect([above.status, above.body.code, above.body.missing]).toEqual([403, 'exceeds_own_rights', ['*']])
    })

    it('answers no token twice: an Idempotency-Key changes nothing', async () => {
      const headers = { 'idempotency-key': 'k1' }
      const first = await ask('adam', 'POST /invites', { body: { link: {}, roles: ['developer'] }, headers })
      const second = await ask('adam', 'POST /invites', { body: { link: {}, roles: ['developer'] }, headers })
      expect([first.status, second.status]).toEqual([201, 201])
      expect(second.body.token).not.toBe(first.body.token)
      expect(second.headers.get('idempotency-replayed')).toBeNull()
    })

    it('refuses bad input by field', async () => {
      for (const [request, body, pointer] of [
        ['POST /invites', { roles: ['developer'] }, '/email'],
        ['POST /invites', { email: 'x', roles: ['developer'] }, '/email'],
        ['POST /invites', { email: 'a@b.c', roles: ['boss'] }, '/roles/0'],
        ['POST /invites', { link: { maxUses: 0 }, roles: ['developer'] }, '/link/maxUses'],
        ['POST /invites', { ...invite, invitedBy: { type: 'user', id: 'olga' } }, '/invitedBy'],
        ['POST /invites/accept', {}, '/token'],
        ['POST /invites/preview', { token: 7 }, '/token'],
        ['GET /invites?status=open', undefined, '/status'],
        ['GET /members?status=gone', undefined, '/status'],
      ] as const) {
        const refused = await ask('olga', request, { body })
        expect([request, refused.status]).toEqual([request, 422])
        expect(refused.body.errors).toEqual(expect.arrayContaining([{ pointer, detail: expect.any(String) }]))
      }
    })
  })
}
