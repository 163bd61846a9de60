/** Defect 5: looks for the tokens of invites in all that is kept, said and told. */
import type { DomainEvent } from '@org/core'
import { fakeClock, httpTargets, mounted, recordingLogger, testDatabases } from '@org/core/testing'
import { createRbac } from '@org/rbac'
import { rbacRouter } from '@org/rbac/express'
import { knexStorage, migrate } from '@org/rbac/knex'
import { rbacRouter as koaRbacRouter } from '@org/rbac/koa'
import type { Knex } from 'knex'
import { describe, expect, it } from 'vitest'
import { client } from './http-client.js'

/** Every column of every row of every table, but for the one that holds the hash. */
async function everyRow(knex: Knex, dialect: string): Promise<{ text: string; tables: string[] }> {
  const inSchema = {
    sqlite: knex('sqlite_master').where({ type: 'table' }).select('name'),
    postgres: knex('information_schema.tables')
      .whereRaw('table_schema = current_schema()')
      .select('table_name as name'),
    mariadb: knex('information_schema.tables').whereRaw('table_schema = database()').select('table_name as name'),
  }[dialect] as Knex.QueryBuilder
  const rows: { name: string }[] = await inSchema
  const tables = rows.map(({ name }) => name).filter((name) => name.startsWith('rbac_'))
  let text = ''
  for (const table of tables) {
    const found: Record<string, unknown>[] = await knex(table).select('*')
    for (const { token_hash: _hash, ...row } of found) text += `${JSON.stringify(row)}\n`
  }
  return { text, tables }
}

const [target] = httpTargets()

for (const { name, missing, open } of await testDatabases()) {
  describe.skipIf(missing)(`on ${name}`, () => {
    it('defect 5: a token is in no list, event, log, export or column, from its making to its end', async () => {
      const database = await open()
      await migrate(database.knex)
      const logger = recordingLogger()
      const events: DomainEvent[] = []
      const mailed: string[] = []
      let mailerWorks = false
      const rbac = createRbac({
        storage: knexStorage(database.knex),
        clock: fakeClock(),
        logger,
        events: (event) => void events.push(event),
        invites: {
          verifiedEmails: async () => ['ann@acme.com'],
          async send({ token }) {
            mailed.push(token)
            if (!mailerWorks) throw new Error(`could not deliver https://app.example/join#${token}`)
          },
        },
      })
      const scope = { tenantId: 'acme' }
      await rbac.tenants.create(scope, { ownerId: 'olga' })
      const context = rbac.context((who: string | undefined) => (who ? { tenantId: 'acme', userId: who } : null))
      const server = await target?.listen(
        mounted(rbac.http, {
          express: () => rbacRouter(rbac, { context: (req) => context(req.get('x-user')) }),
          koa: () => koaRbacRouter(rbac, { context: (ctx) => context(ctx.get('x-user')) }),
        }),
      )
      const ask = client(() => server?.url ?? '')
      const seen: unknown[] = []
      const tokens: string[] = []
      const headers = { 'idempotency-key': 'once' }
      const issue = async (request: string, body: object) => {
        const answer = await ask('olga', request, { body, headers })
        tokens.push(answer.body.token)
        seen.push(answer.body.invite)
        return answer.body as { invite: { id: string }; token: string }
      }

      const mail = await issue('POST /invites', { email: 'ann@acme.com', roles: ['developer'] })
      const link = await issue('POST /invites', { link: { maxUses: 2 }, roles: ['developer'] })
      const revoked = await issue('POST /invites', { link: {}, roles: ['admin'] })
      mailerWorks = true
      const again = await issue(`POST /invites/${mail.invite.id}/resend`, {})
      for (const [who, token] of [
        ...[
          ['ann', mail.token],
          ['ann', again.token],
          ['ann', link.token],
          ['bob', link.token],
        ],
        ...[
          ['cyd', link.token],
          ['bob', revoked.token],
        ],
      ] as [string, string][]) {
        seen.push((await ask(null, 'POST /invites/preview', { body: { token } })).body)
        seen.push((await ask(who, 'POST /invites/accept', { body: { token }, headers })).body)
      }
      await ask('olga', `DELETE /invites/${revoked.invite.id}`)
      for (const list of [
        'invites',
        'members',
        'assignments',
        'audit',
        'members?status=invited',
        'activity',
        'tenants',
      ]) {
        const answer = await ask('olga', `GET /${list}`)
        expect([list, answer.status]).toEqual([list, 200])
        seen.push(answer.body)
      }
      seen.push((await ask('olga', `GET /invites/${mail.invite.id}`)).body)
      let exported = ''
      for (const format of ['csv', 'jsonl'] as const) {
        for await (const part of rbac.audit.export(scope, { format })) exported += part
      }
      const { text, tables } = await everyRow(database.knex, name)
      expect(tables).toEqual(expect.arrayContaining(['rbac_invites', 'rbac_audit_entries', 'rbac_idempotency_keys']))

      // What is searched is not empty, and the search finds what is there.
      const all = { seen, events, logged: logger.entries, exported, kept: text }
      for (const [where, content] of Object.entries(all)) {
        expect(JSON.stringify(content), where).toContain(where === 'logged' ? 'could not be sent' : mail.invite.id)
      }
      expect(mailed).toEqual([mail.token, again.token])
      const hashes = await database.knex('rbac_invites').pluck('token_hash')
      expect(new Set([...tokens, ...hashes]).size).toBe(7)
      for (const secret of [...tokens, ...tokens.map((token) => token.slice(7)), ...hashes]) {
        expect(secret.length).toBeGreaterThan(40)
        for (const [where, content] of Object.entries(all)) {
          expect(JSON.stringify(content).includes(secret), `${secret} in ${where}`).toBe(false)
        }
      }
      await server?.close()
      await database.close()
    })
  })
}
