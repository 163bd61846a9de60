/** Two processes on one real database, with one invite. */
import type { Actor } from '@org/core'
import { type OpenTarget, recordingLogger } from '@org/core/testing'
import { createRbac, type RbacStorage } from '@org/rbac'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { storages } from './storages.js'

const logger = recordingLogger()
const user = (id: string): Actor => ({ type: 'user', id })
const rounds = 8

for (const { name, missing, open } of await storages()) {
  describe.skipIf(missing)(`invites at the same moment on ${name}`, () => {
    let opened: OpenTarget<RbacStorage>
    const make = (storage: RbacStorage) => createRbac({ storage, logger, invites: {} })
    let here: ReturnType<typeof make>
    let there: ReturnType<typeof make>

    beforeAll(async () => {
      opened = await open()
      here = make(opened.storage)
      there = make(opened.second())
    })
    afterAll(() => opened.close())

    const codes = (results: PromiseSettledResult<unknown>[]) =>
      results.map((result) => (result.status === 'fulfilled' ? 'done' : (result.reason.code ?? result.reason))).sort()
    const team = async (round: number, label: string) => {
      const tenantId = `${label} ${round}`
      await here.assignments.assign({ tenantId }, { userId: 'olga', role: 'owner' })
      await here.assignments.assign({ tenantId }, { userId: 'adam', role: 'admin' })
      return tenantId
    }
    const membersOf = async (tenantId: string) =>
      (await here.members.list({ tenantId })).data.map(({ userId }) => userId).sort()

    it('defect 5: two people accept an invite for one, and exactly one is in', async () => {
      for (let round = 0; round < rounds; round++) {
        const tenantId = await team(round, 'one')
        const { invite, token } = await here.invites.create(
          { tenantId },
          { link: { maxUses: 1 }, roles: ['developer'] },
        )
        const results = await Promise.allSettled([
          here.invites.accept({ token, userId: 'ann' }),
          there.invites.accept({ token, userId: 'bob' }),
        ])
        expect(codes(results)).toEqual(['done', 'invite_not_found'])
        expect(await membersOf(tenantId)).toHaveLength(3)
        expect(await here.invites.get({ tenantId }, invite.id)).toMatchObject({ status: 'accepted', uses: 1 })
      }
    })

    it('a link is used as often as it says, however many come', async () => {
      const tenantId = await team(0, 'many')
      const { invite, token } = await here.invites.create({ tenantId }, { link: { maxUses: 3 }, roles: ['developer'] })
      const users = Array.from({ length: 10 }, (_, i) => `user ${i}`)
      const results = await Promise.allSettled(
        users.map((userId, i) => (i % 2 ? here : there).invites.accept({ token, userId })),
      )
      expect(codes(results)).toEqual([...Array(3).fill('done'), ...Array(7).fill('invite_not_found')])
      expect(await membersOf(tenantId)).toHaveLength(5)
      expect(await here.invites.get({ tenantId }, invite.id)).toMatchObject({ status: 'accepted', uses: 3 })
    })

    it('one person accepts two invites, and the second is left as it was', async () => {
      for (let round = 0; round < rounds; round++) {
        const tenantId = await team(round, 'both')
        const make = (role: string) => here.invites.create({ tenantId }, { link: { maxUses: 1 }, roles: [role] })
        const [low, high] = await Promise.all([make('read_only'), make('owner')])
        const results = await Promise.allSettled([
          here.invites.accept({ token: low.token, userId: 'ann' }),
          there.invites.accept({ token: high.token, userId: 'ann' }),
        ])
        expect(codes(results)).toEqual(['already_member', 'done'])
        const won = results[0]?.status === 'fulfilled' ? low : high
        expect((await here.members.get({ tenantId }, 'ann')).roles).toEqual(won.invite.roles)
        const { data } = await here.invites.list({ tenantId }, { status: 'pending' })
        expect(data.map(({ uses }) => uses)).toEqual([0])
      }
    })

    it('an address is invited twice, and one invite is made', async () => {
      for (let round = 0; round < rounds; round++) {
        const tenantId = await team(round, 'twins')
        const results = await Promise.allSettled(
          [here, there, here].map((rbac, i) =>
            rbac.invites.create({ tenantId }, { email: i ? 'ANN@acme.com' : 'ann@acme.com', roles: ['developer'] }),
          ),
        )
        expect(codes(results)).toEqual(['already_invited', 'already_invited', 'done'])
        expect((await here.invites.list({ tenantId })).data).toHaveLength(1)
      }
    })

    it('an invite is accepted and revoked, or sent again, and only one of it happens', async () => {
      for (let round = 0; round < rounds; round++) {
        const tenantId = await team(round, 'race')
        const { invite, token } = await here.invites.create(
          { tenantId },
          { link: { maxUses: 1 }, roles: ['developer'] },
        )
        const end = round % 2 ? there.invites.revoke : there.invites.resend
        const [accepted, ended] = await Promise.allSettled([
          here.invites.accept({ token, userId: 'ann' }),
          end({ tenantId }, invite.id),
        ])
        const first = accepted?.status === 'fulfilled'
        expect(codes([accepted as PromiseSettledResult<unknown>])).toEqual([first ? 'done' : 'invite_not_found'])
        expect(codes([ended as PromiseSettledResult<unknown>])).toEqual([first ? 'invite_closed' : 'done'])
        expect(await membersOf(tenantId)).toHaveLength(first ? 3 : 2)
      }
    })

    it('an invite whose maker is demoted is accepted before or not at all', async () => {
      for (let round = 0; round < rounds; round++) {
        const tenantId = await team(round, 'demoted')
        const scope = { tenantId, actor: user('adam') }
        const { token } = await here.invites.create(scope, { link: { maxUses: 1 }, roles: ['admin'] })
        const [accepted, demoted] = await Promise.allSettled([
          here.invites.accept({ token, userId: 'ann' }),
          there.members.setRoles({ tenantId }, 'adam', { roles: ['developer'] }),
        ])
        expect(demoted?.status).toBe('fulfilled')
        const actions = (await here.audit.query({ tenantId })).data.map(({ action }) => action)
        const joined = actions.indexOf('member.added')
        if (accepted?.status === 'fulfilled') expect(joined).toBeGreaterThan(actions.indexOf('assignment.deleted'))
        else expect([codes([accepted as PromiseSettledResult<unknown>]), joined]).toEqual([['invite_void'], -1])
      }
    })

    // SQLite and memory have one transaction that writes at a time.
    const manyWriters = name === 'postgres' || name === 'mariadb'
    if (manyWriters)
      it('defect 5: of two who accept in transactions of the host that began before, one is in', async () => {
        for (const isolationLevel of ['read committed', 'repeatable read', 'serializable'] as const) {
          const tenantId = await team(0, isolationLevel)
          const { token } = await here.invites.create({ tenantId }, { link: { maxUses: 1 }, roles: ['developer'] })
          let began = 0
          let go = () => {}
          const bothBegan = new Promise<void>((resolve) => {
            go = resolve
          })
          const accept = (userId: string) =>
            opened.transaction(
              async (tx) => {
                await here.invites.preview({ token }, { tx })
                if (++began === 2) go()
                await bothBegan
                await here.invites.accept({ token, userId }, { tx })
              },
              { isolationLevel },
            )
          const results = await Promise.allSettled([accept('ann'), accept('bob')])
          expect([isolationLevel, codes(results).filter((code) => code === 'done')]).toEqual([isolationLevel, ['done']])
          expect(await membersOf(tenantId)).toHaveLength(3)
        }
      })
  })
}
