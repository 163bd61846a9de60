/** The code of the guide to teams and invites, each block run by a test. */
import { createRbac, type Rbac } from '@org/rbac'
import { knexStorage } from '@org/rbac/knex'
import type { Knex } from 'knex'

export interface Mailer {
  send(mail: { to: string; subject: string; text: string }): Promise<void>
}

export interface Users {
  verifiedEmails(userId: string): Promise<string[]>
}

export function rbacWithInvites(knex: Knex, mailer: Mailer, users: Users): Rbac {
  const rbac = createRbac({
    storage: knexStorage(knex),
    invites: {
      // Your mailer: called once the invite is committed.
      send: ({ to, token, tenantName }) =>
        mailer.send({
          to,
          subject: `Join ${tenantName ?? 'us'}`,
          text: `https://app.example.com/join#${token}`,
        }),
      // Only addresses that the user has proved to be theirs.
      verifiedEmails: (userId) => users.verifiedEmails(userId),
    },
  })
  return rbac
}

export async function signUp(knex: Knex, rbac: Rbac, { id, name, userId }: Record<'id' | 'name' | 'userId', string>) {
  await knex.transaction(async (tx) => {
    await tx('tenants').insert({ id, name })
    await rbac.tenants.create({ tenantId: id, tx }, { ownerId: userId, name })
  })
}

export async function changeTeam(rbac: Rbac) {
  // Who does it: nobody gives more than they hold. Without an actor it is your own code, which may.
  const scope = { tenantId: 'acme', actor: { type: 'user' as const, id: 'olga' } }

  await rbac.members.add(scope, { userId: 'dev', roles: ['developer'] })
  await rbac.members.setRoles(scope, 'dev', { roles: ['admin', 'billing'] })
  await rbac.members.suspend(scope, 'dev')
  await rbac.members.reactivate(scope, 'dev')
  await rbac.members.remove(scope, 'dev')
  return scope
}

export async function handOver(rbac: Rbac) {
  const olga = { tenantId: 'acme', actor: { type: 'user' as const, id: 'olga' } }
  await rbac.members.transferOwnership(olga, { to: 'otto' })
  await rbac.members.leave(olga)
}

export async function invite(rbac: Rbac) {
  const scope = { tenantId: 'acme', actor: { type: 'user' as const, id: 'olga' } }

  const { invite } = await rbac.invites.create(scope, { email: 'ann@acme.com', roles: ['developer'] })
  if (invite.sentAt === null) console.log(`not sent: ${invite.sendError}`)

  const { token } = await rbac.invites.create(scope, {
    link: { domains: ['acme.com'], maxUses: 20 },
    roles: ['read_only'],
    expiresInMs: 24 * 60 * 60 * 1000,
  })
  return { id: invite.id, url: `https://app.example.com/join#${token}` }
}

export async function inviteWithOrder(knex: Knex, rbac: Rbac, mailer: Mailer) {
  const to = 'bob@acme.com'
  const { token } = await knex.transaction(async (tx) => {
    await tx('seats').insert({ tenant_id: 'acme', email: to })
    return rbac.invites.create({ tenantId: 'acme', tx }, { email: to, roles: ['developer'] })
  })
  await mailer.send({ to, subject: 'Join us', text: `https://app.example.com/join#${token}` })
  return token
}

export async function accept(rbac: Rbac, token: string, session: { userId: string; verifiedEmail: string }) {
  const { tenantId, roles } = await rbac.invites.accept({
    token,
    userId: session.userId,
    verifiedEmails: [session.verifiedEmail],
  })
  return { tenantId, roles }
}

export async function teamPage(rbac: Rbac) {
  const team = await rbac.members.list({ tenantId: 'acme' })
  const invited = await rbac.members.list({ tenantId: 'acme' }, { status: 'invited' })
  return [...team.data.map(({ userId }) => userId), ...invited.data.map(({ email }) => email)]
}
