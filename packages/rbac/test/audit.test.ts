import { type DomainEvent, encodeCursor, memoryDatabase, type RequestContext } from '@org/core'
import { fakeClock, type OpenTarget, recordingLogger } from '@org/core/testing'
import { createRbac, type LogAuditEntry, type Rbac, type RbacStorage } from '@org/rbac'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { storages } from './storages.js'

const logger = recordingLogger()

for (const { name, missing, open } of await storages()) {
  describe.skipIf(missing)(`the audit log on ${name}`, () => {
    let opened: OpenTarget<RbacStorage>
    let rbac: Rbac
    let tenants = 0
    let tenantId = ''
    const clock = fakeClock()

    beforeAll(async () => {
      opened = await open({ pool: 1 })
      rbac = createRbac({ storage: opened.storage, clock, logger })
    })
    afterAll(() => opened.close())
    beforeEach(() => {
      tenantId = `tenant ${++tenants}`
    })

    const event = (fields: Partial<DomainEvent> = {}): DomainEvent => ({
      id: `evt_${tenants}`,
      type: 'endpoint.updated',
      tenantId,
      actor: { type: 'user', id: 'ann' },
      resource: { type: 'endpoint', id: 'ep_1' },
      time: clock.now() - 5,
      data: { url: 'https://a.example' },
      before: { enabled: true, at: undefined },
      after: { enabled: false },
      ip: '203.0.113.7',
      ...fields,
    })

    it('keeps what the host logs', async () => {
      const actor = { type: 'user', id: 'ann' } as const
      const entry = await rbac.audit.log({
        ...{ tenantId, actor, action: 'report.exported', resource: { type: 'report', id: 'r1' }, outcome: 'denied' },
        ...{ data: { rows: 3, at: new Date(0), gone: undefined }, ip: '203.0.113.7', requestId: 'req' },
      })
      expect(entry).toEqual({
        ...{ id: expect.stringMatching(/^aud_/), eventId: null, tenantId, time: clock.now(), actor, outcome: 'denied' },
        ...{ action: 'report.exported', resource: { type: 'report', id: 'r1' }, before: null, after: null },
        targets: [{ type: 'report', id: 'r1' }],
        ...{ data: { rows: 3, at: '1970-01-01T00:00:00.000Z' }, ip: '203.0.113.7', userAgent: null, requestId: 'req' },
      })
      expect((await rbac.audit.query({ tenantId })).data).toEqual([entry])
    })

    it('cuts a request id without halving a character', async () => {
      const requestId = `${'r'.repeat(254)}😀`
      const entry = await rbac.audit.log({ tenantId, action: 'report.exported', requestId })
      expect(entry.requestId).toBe(`${'r'.repeat(254)}\uFFFD`)
      expect(await rbac.audit.verify({ tenantId })).toMatchObject({ ok: true, entries: 1 })
    })

    it('takes a request context as it is, and leaves out what is none of an entry', async () => {
      const actor = { type: 'user', id: 'ann' } as const
      const context: RequestContext = { tenantId, actor, ability: { can: () => true }, ip: '203.0.113.7' }
      const entry = await rbac.audit.log({ ...context, action: 'report.exported' })
      expect(entry).toMatchObject({ tenantId, actor, ip: '203.0.113.7', outcome: 'success', data: {}, resource: null })
      expect(entry).not.toHaveProperty('ability')
      expect(await rbac.audit.log({ action: 'app.started' })).toMatchObject({
        ...{ tenantId: 'default', actor: { type: 'system', id: 'system' } },
      })
    })

    it('refuses an entry that is none', async () => {
      const loop: Record<string, unknown> = {}
      loop.loop = loop
      const entries: [string, object][] = [
        ['/action', {}],
        ['/action', { action: '' }],
        ['/tenantId', { action: 'a', tenantId: '' }],
        ['/actor/type', { action: 'a', actor: { type: 'god', id: 'x' } }],
        ['/resource/id', { action: 'a', resource: { type: 'key' } }],
        ['/outcome', { action: 'a', outcome: 'fine' }],
        ['/data', { action: 'a', data: 'text' }],
        ['/data', { action: 'a', data: { big: 1n } }],
        ['/data', { action: 'a', data: loop }],
        ['/before', { action: 'a', before: { big: 1n } }],
        ['/after', { action: 'a', after: loop }],
        // What cannot be shown would close the whole page.
        ['/data', { action: 'a', data: { toJSON: () => 'text' } }],
        // What PostgreSQL does not keep, or a driver turns into something else.
        ...['a\0b', 'a\ud800'].flatMap((odd): [string, object][] => [
          ['/action', { action: odd }],
          ['/actor/id', { action: 'a', actor: { type: 'user', id: odd } }],
          ['/resource/type', { action: 'a', resource: { type: odd, id: 'x' } }],
          ['/resource/id', { action: 'a', resource: { type: 'key', id: odd } }],
          ['/ip', { action: 'a', ip: odd }],
          ['/userAgent', { action: 'a', userAgent: odd }],
          ['/requestId', { action: 'a', requestId: odd }],
        ]),
      ]
      for (const [pointer, entry] of entries) {
        await expect(rbac.audit.log({ tenantId, ...entry } as LogAuditEntry)).rejects.toMatchObject({
          ...{ code: 'invalid_input', errors: expect.arrayContaining([expect.objectContaining({ pointer })]) },
        })
      }
      expect((await rbac.audit.query({ tenantId })).data).toEqual([])
    })

    it('keeps odd data as JSON has it', async () => {
      const data = JSON.parse('{"__proto__":{"admin":true},"constructor":1,"nul\\u0000":"\\u0000","half":"\\ud800"}')
      const big = 'x'.repeat(2_000_000)
      await rbac.audit.log({ tenantId, action: 'a', data, before: { big } })
      const [entry] = (await rbac.audit.query({ tenantId })).data
      expect(entry?.data).toMatchObject({ constructor: 1, 'nul\0': '\0', half: '\ud800' })
      expect(entry?.data).not.toHaveProperty('admin')
      expect(entry?.before).toEqual({ big })
    })

    it('refuses an event that is none, and with it what happened', async () => {
      const odd = [
        { id: '' },
        { id: 'x'.repeat(129) },
        { id: 'a\0' },
        { time: Number.NaN },
        { time: undefined },
        { time: 1.7e15 },
      ]
      for (const fields of [...odd, { tenantId: undefined }, { type: 'x'.repeat(129) }]) {
        const recorded = opened.transaction(async (tx) => rbac.audit.sink(event(fields as object), tx))
        await expect(recorded, JSON.stringify(fields)).rejects.toMatchObject({ code: 'invalid_input' })
      }
    })

    it('records every domain event once, with before and after, detached or not', async () => {
      const { sink } = rbac.audit
      await opened.transaction(async (tx) => {
        await sink(event(), tx)
        await sink(event(), tx)
        await sink(event({ id: `evt_${tenants}b`, type: 'anything.else', resource: undefined, before: undefined }), tx)
      })
      await opened.transaction((tx) => Promise.resolve(sink(event(), tx)))
      const { data } = await rbac.audit.query({ tenantId })
      expect(data.map(({ action }) => action).sort()).toEqual(['anything.else', 'endpoint.updated'])
      expect(data.find(({ action }) => action === 'endpoint.updated')).toEqual({
        ...{ id: expect.stringMatching(/^aud_/), eventId: `evt_${tenants}`, tenantId, time: clock.now() - 5 },
        ...{ actor: { type: 'user', id: 'ann' }, action: 'endpoint.updated', outcome: 'success' },
        ...{ resource: { type: 'endpoint', id: 'ep_1' }, data: { url: 'https://a.example' } },
        targets: [{ type: 'endpoint', id: 'ep_1' }],
        ...{
          before: { enabled: true },
          after: { enabled: false },
          ip: '203.0.113.7',
          userAgent: null,
          requestId: null,
        },
      })
    })

    it('has one row of each change of rbac’s own, also if the host lists the sink too', async () => {
      const listed: Rbac = createRbac({
        storage: opened.storage,
        clock,
        logger,
        events: [(e, tx) => listed.audit.sink(e, tx)],
      })
      await listed.assignments.assign({ tenantId }, { userId: 'ann', role: 'owner' })
      expect((await listed.audit.query({ tenantId })).data.map(({ action }) => action)).toEqual(['assignment.created'])
    })

    it('goes with the host’s transaction, and alone when it cannot', async () => {
      const undone = opened.transaction(async (tx) => {
        await rbac.audit.log({ tenantId, action: 'a' }, { tx })
        await rbac.audit.sink(event(), tx)
        // A context that carries the host's transaction spreads it too.
        const context: RequestContext = {
          tenantId,
          tx,
          actor: { type: 'user', id: 'ann' },
          ability: { can: () => true },
        }
        await rbac.audit.log({ ...context, action: 'b' })
        expect((await rbac.audit.query({ tenantId, tx })).data).toHaveLength(3)
        throw new Error('undo')
      })
      await expect(undone).rejects.toThrow('undo')
      expect((await rbac.audit.query({ tenantId })).data).toEqual([])

      // Memory storages join each other, so only a database has transactions that it cannot join.
      if (name === 'memory') return
      const foreign = memoryDatabase().transaction(async (tx) => {
        await rbac.audit.sink(event(), tx)
        await expect(rbac.audit.log({ tenantId, action: 'a' }, { tx })).rejects.toMatchObject({
          code: 'foreign_transaction',
        })
        throw new Error('undo')
      })
      await expect(foreign).rejects.toThrow('undo')
      expect((await rbac.audit.query({ tenantId })).data.map(({ action }) => action)).toEqual(['endpoint.updated'])
    })

    it('is read by actor, action, resource and time, page by page, each tenant its own', async () => {
      for (let i = 0; i < 7; i++) {
        // Two entries in each moment.
        if (i % 2 === 0) clock.advance(1000)
        const actor = { type: 'user' as const, id: i % 2 ? 'odd' : 'even' }
        await rbac.audit.log({ tenantId, actor, action: `a.${i}`, resource: { type: 'key', id: `k${i % 3}` } })
      }
      const actions = async (query: object) =>
        (await rbac.audit.query({ tenantId }, query)).data.map(({ action }) => action)
      const all = await actions({})
      expect(all).toHaveLength(7)
      expect(all[0]).toBe('a.6')
      expect(await actions({ user: 'odd' })).toEqual(['a.5', 'a.3', 'a.1'])
      expect(await actions({ action: 'a.4' })).toEqual(['a.4'])
      expect(await actions({ resourceType: 'key', resourceId: 'k0', user: 'even' })).toEqual(['a.6', 'a.0'])
      expect(await actions({ resourceType: 'none' })).toEqual([])
      expect(await actions({ from: clock.now() })).toEqual(['a.6'])
      expect(await actions({ to: clock.now() - 2000 })).toEqual(expect.arrayContaining(['a.0', 'a.1']))
      expect(await actions({ from: clock.now() - 1000, to: clock.now() })).toHaveLength(2)

      const paged: string[] = []
      let cursor: string | undefined
      do {
        const page = await rbac.audit.query({ tenantId }, { limit: 2, ...(cursor && { cursor }) })
        paged.push(...page.data.map(({ action }) => action))
        cursor = page.next ?? undefined
      } while (cursor)
      expect(paged).toEqual(all)
      expect((await rbac.audit.query({ tenantId: `${tenantId} b` })).data).toEqual([])
    })

    it('refuses a query that is none', async () => {
      for (const query of [
        { user: '' },
        { limit: 0 },
        { limit: 251 },
        { from: 'now' },
        { who: 'ann' },
        { cursor: 'x' },
        ...['a\0b', 'a\ud800'].flatMap((odd) => [
          { user: odd },
          { action: odd },
          { resourceType: odd },
          { resourceId: odd },
        ]),
        { cursor: encodeCursor([1, '\0']) },
        ...['1e999', '1e30', '1.5'].map((time) => ({ cursor: Buffer.from(`[${time},"a"]`).toString('base64url') })),
      ]) {
        await expect(rbac.audit.query({ tenantId }, query as object)).rejects.toMatchObject({ code: 'invalid_input' })
      }
      const elsewhere = [{ tenantId: '' }, {}, undefined, { tenantId, actor: { type: 'god', id: 'x' } }]
      for (const scope of elsewhere as { tenantId: string }[]) {
        await expect(rbac.audit.query(scope)).rejects.toMatchObject({ code: 'invalid_input' })
      }
    })
  })
}
