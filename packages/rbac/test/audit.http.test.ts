import { type HttpServer, httpTargets, mounted, recordingLogger } from '@org/core/testing'
import { createRbac } from '@org/rbac'
import { rbacRouter as expressRouter } from '@org/rbac/express'
import { rbacRouter as koaRouter } from '@org/rbac/koa'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { client } from './http-client.js'

for (const target of httpTargets().filter(({ name }) => name.includes('without'))) {
  describe(`the audit log on ${target.name}`, () => {
    const rbac = createRbac({ logger: recordingLogger() })
    const identify = (headers: Record<string, unknown>) =>
      typeof headers['x-user'] === 'string'
        ? { userId: headers['x-user'], tenantId: String(headers['x-tenant']) }
        : null
    let server: HttpServer
    const ask = client(() => server.url)

    beforeAll(async () => {
      const options = { context: rbac.context((request: { headers: object }) => identify(request.headers as never)) }
      server = await target.listen(
        mounted(rbac.http, { express: () => expressRouter(rbac, options), koa: () => koaRouter(rbac, options) }),
      )
      await rbac.assignments.assign({ tenantId: 'acme' }, { userId: 'olga', role: 'owner' })
      await rbac.assignments.assign({ tenantId: 'acme' }, { userId: 'dev', role: 'developer' })
      await rbac.assignments.assign({ tenantId: 'globex' }, { userId: 'otto', role: 'owner' })
      await rbac.audit.log({
        tenantId: 'acme',
        action: 'key.created',
        targets: [
          { type: 'key', id: 'k1' },
          { type: 'key', id: 'k2' },
        ],
      })
      await rbac.audit.seal()
    })
    afterAll(() => server.close())

    it('is read by filters, each tenant its own', async () => {
      const { body } = await ask('olga', 'GET /audit?resourceId=k2&action=key.*&text=KEY')
      expect(body.data).toMatchObject([{ action: 'key.created', targets: [{ id: 'k1' }, { id: 'k2' }] }])
      expect(body.data[0]).not.toHaveProperty('tenantId')
      expect((await ask('otto@globex', 'GET /audit?resourceId=k2')).body.data).toEqual([])
      expect((await ask('olga', 'GET /audit?text=')).status).toBe(422)
      expect((await ask('olga', 'GET /audit?outcome=fine')).status).toBe(422)
    })

    it('is downloaded as a file', async () => {
      const get = async (query: string) =>
        fetch(`${server.url}/audit/export${query}`, { headers: { 'x-user': 'olga', 'x-tenant': 'acme' } })
      const csv = await get('?action=key.created')
      expect(csv.headers.get('content-type')).toBe('text/csv; charset=utf-8')
      expect(csv.headers.get('content-disposition')).toBe('attachment; filename="audit.csv"')
      expect(await csv.text()).toMatch(/^time,id,action.*\r\n.*,key\.created,success,system,system,key:k1 key:k2,/)
      const lines = await get('?format=jsonl')
      // Express 4 says UTF-8 of it, which it is.
      expect(lines.headers.get('content-type')).toMatch(/^application\/jsonl(; charset=utf-8)?$/)
      const actions = (await lines.text())
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line).action)
      expect(actions.filter((action) => action === 'audit.exported')).toHaveLength(2)
      expect((await get('?format=xml')).status).toBe(422)
      expect((await get('?text=')).status).toBe(422)
    })

    it('is verified, and feeds the team’s activity', async () => {
      const { body } = await ask('olga', 'GET /audit/verify')
      expect(body).toMatchObject({ ok: true, findings: [] })
      expect(body.sealed).toBeGreaterThan(0)
      const activity = await ask('olga', 'GET /activity?limit=2')
      expect(activity.body.data[0].summary).toBe('The system created the key k1')
      expect(Object.keys(activity.body.data[0]).sort()).toEqual(['action', 'actor', 'id', 'summary', 'targets', 'time'])
    })

    it('is closed to whoever may not read it, and says who tried', async () => {
      for (const path of ['/audit', '/audit/export', '/audit/verify']) {
        expect((await ask('dev', `GET ${path}`)).status).toBe(403)
        expect((await ask(null, `GET ${path}`)).status).toBe(401)
      }
      const over = { body: { userId: 'dev', role: 'owner' }, headers: { 'user-agent': 'curl/8' } }
      expect((await ask('dev', 'POST /assignments', over)).status).toBe(403)
      const { body } = await ask('olga', 'GET /audit?outcome=denied&user=dev')
      expect(body.data.map(({ data }: { data: { route: string } }) => data.route)).toEqual([
        ...['rbac.assignRole', 'rbac.verifyAudit', 'rbac.exportAudit', 'rbac.queryAudit'],
      ])
      expect(body.data[0]).toMatchObject({ action: 'access.denied', userAgent: 'curl/8', actor: { id: 'dev' } })
      expect(body.data[0].data.permission).toBe('team:create')
    })

    it('says what they were refused over', async () => {
      const targets = async (query: string) =>
        (await ask('olga', `GET /audit?outcome=denied&${query}`)).body.data.map(
          (entry: { targets: unknown }) => entry.targets,
        )
      expect((await ask('eve', 'GET /members/olga')).status).toBe(403)
      expect((await ask('eve', 'POST /members', { body: {} })).status).toBe(403)
      expect((await ask('eve', 'POST /keys/k1/rotate', { body: {} })).status).toBe(403)
      expect(await targets('user=eve&resourceType=member')).toEqual([
        [{ type: 'member', id: '*' }],
        [{ type: 'member', id: 'olga' }],
      ])
      expect(await targets('resourceType=member&resourceId=olga')).toHaveLength(1)
      expect(await targets('resourceId=k1')).toEqual([[{ type: 'key', id: 'k1' }]])
      expect(
        (await ask('eve', 'POST /check', { body: { userId: 'dev', resource: 'keys', action: 'read' } })).status,
      ).toBe(403)
      expect(await targets('user=eve&resourceType=team')).toEqual([[{ type: 'team', id: '*' }]])
    })

    it('is told of every refusal, whatever was sent for an id', async () => {
      const sent = ['x'.repeat(1000), 'a%00b', '%20', '%F0%9F%98%80'.repeat(200), "'", '%22', '__proto__']
      for (const id of sent) expect((await ask('mal', `GET /members/${id}`)).status, id).toBe(403)
      const { body } = await ask('olga', 'GET /audit?outcome=denied&user=mal')
      const ids = body.data.map(({ targets }: { targets: { id: string }[] }) => targets[0]?.id).reverse()
      expect(ids).toEqual(['x'.repeat(255), 'a\uFFFDb', ' ', expect.stringMatching(/^😀{127}/u), "'", '"', '__proto__'])
    })
  })
}
