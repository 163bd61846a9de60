import { type DeniedAttempt, memoryDatabase, type RequestContext } from '@org/core'
import { fakeClock, type OpenTarget, recordingLogger } from '@org/core/testing'
import { createRbac, memoryStorage, type Rbac, type RbacOptions, type RbacStorage } from '@org/rbac'
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { storages } from './storages.js'

const olga = { type: 'user', id: 'olga' } as const
const silent = { debug() {}, info() {}, warn() {}, error() {} }

for (const { name, missing, open } of await storages()) {
  describe.skipIf(missing)(`what the audit log does beyond keeping on ${name}`, () => {
    let opened: OpenTarget<RbacStorage>
    let rbac: Rbac
    let tenants = 0
    let scope = { tenantId: '' }
    const clock = fakeClock()

    beforeAll(async () => {
      opened = await open({ pool: 1 })
      rbac = createRbac({ storage: opened.storage, clock, logger: silent })
    })
    afterAll(() => opened.close())
    beforeEach(() => {
      scope = { tenantId: `tenant ${++tenants}` }
    })
    const log = (fields: object) => rbac.audit.log({ ...scope, action: 'key.created', ...fields })
    const exported = async (query: Parameters<Rbac['audit']['export']>[1]) => {
      const parts: string[] = []
      for await (const part of rbac.audit.export({ ...scope, actor: olga }, query)) parts.push(part)
      return parts
    }

    it('defect 10: exports no formula to a spreadsheet', async () => {
      const evil = ['=1+1', '+1', '-1', '@SUM(A1)', '\tx', '\rx']
      for (const userAgent of evil) await log({ userAgent, actor: { type: 'user', id: 'a"b,c' } })
      const text = (await exported({ format: 'csv', action: 'key.created' })).join('')
      const [head, ...lines] = text.trimEnd().split('\r\n')
      expect(head?.split(',').slice(0, 7)).toEqual([
        'time',
        'id',
        'action',
        'outcome',
        'actor_type',
        'actor_id',
        'targets',
      ])
      expect(lines).toHaveLength(evil.length)
      for (const start of evil) expect(text).toContain(start === '\rx' ? `"'\rx"` : `'${start}`)
      // No cell begins with one of them, quoted or not.
      expect(text).not.toMatch(/(^|,|\n)"?[=+@\t-]/)
      expect(text).toContain('"a""b,c"')
    })

    it('exports what the filters leave, and says so in the log', async () => {
      await log({ resource: { type: 'key', id: 'k1' }, data: { note: 'é\n"x"' } })
      await log({ action: 'other' })
      const text = (await exported({ format: 'jsonl', action: 'key.*' })).join('')
      const [line] = text.trimEnd().split('\n')
      expect(JSON.parse(line ?? '')).toMatchObject({
        ...{ action: 'key.created', targets: [{ type: 'key', id: 'k1' }], data: { note: 'é\n"x"' } },
        time: new Date(clock.now()).toISOString(),
      })
      expect(text.split('\n')).toHaveLength(2)
      expect(text).not.toContain('tenantId')
      const [entry] = (await rbac.audit.query(scope, { action: 'audit.exported' })).data
      expect(entry).toMatchObject({ actor: olga, data: { format: 'jsonl', filter: { action: 'key.*' } } })
      for (const query of [{ format: 'xml' }, { format: 'csv', text: '' }, { format: 'csv', who: 'x' }]) {
        expect(() => rbac.audit.export(scope, query as { format: 'csv' })).toThrow('not valid')
      }
    })

    it('reads a long log in slices while it is exported, and stops when it is told to', async () => {
      await opened.transaction(async (tx) => {
        for (let i = 0; i < 1100; i++) await log({ tx, action: `a.${i}` })
      })
      const progress: number[] = []
      const onProgress = ({ entries }: { entries: number }) => void progress.push(entries)
      const parts = await exported({ format: 'jsonl', onProgress })
      expect(progress).toEqual([500, 1000, 1101])
      expect(parts.map((part) => part.split('\n').length - 1)).toEqual([500, 500, 101])
      // SQLite answers in the same turn of the event loop: the others of the process must get theirs in between.
      const letsOthersRun = async (work: () => Promise<unknown>) => {
        let ran = false
        setImmediate(() => {
          ran = true
        })
        await work()
        return ran
      }
      expect(await letsOthersRun(() => exported({ format: 'csv' }))).toBe(true)
      expect(await letsOthersRun(() => rbac.audit.verify(scope))).toBe(true)
      const stop = new AbortController()
      const begun = rbac.audit.export(scope, { format: 'csv', signal: stop.signal })
      const read = async () => {
        for await (const _ of begun) stop.abort(new Error('enough'))
      }
      await expect(read()).rejects.toThrow('enough')
    }, 20_000)

    it('tells the team what its members did, and nothing that is not for all eyes', async () => {
      const change = { actor: olga, ip: '192.0.2.1', before: { secretPlan: 1 } }
      const dev = { data: { userId: 'dev', role: 'read_only' } }
      await log({ ...change, action: 'assignment.created', ...dev })
      clock.advance(1)
      await log({ ...change, action: 'assignment.deleted', ...dev })
      clock.advance(1)
      await log({ ...change, resource: { type: 'key', id: 'key_1' }, after: { name: 'CI' } })
      clock.advance(1)
      await log({
        ...change,
        action: 'member.removed',
        data: { userId: 'dev' },
        actor: { type: 'system', id: 'system' },
      })
      await log({ ...change, action: 'key.created', outcome: 'denied' })
      await log({ action: 'app.started' })
      const { data, next } = await rbac.audit.activity(scope, { limit: 3 })
      expect(data.map(({ summary }) => summary)).toEqual([
        'The system removed the member dev',
        'olga created the key CI',
        'olga took the role Read Only from dev',
      ])
      expect(data[1]).toEqual({
        ...{ id: expect.stringMatching(/^aud_/), time: clock.now() - 1, actor: olga, action: 'key.created' },
        ...{ targets: [{ type: 'key', id: 'key_1' }], summary: 'olga created the key CI' },
      })
      const rest = await rbac.audit.activity(scope, { cursor: next ?? '', userId: 'olga' })
      expect(rest.data.map(({ summary }) => summary)).toEqual(['olga gave dev the role Read Only'])
      expect(rest.next).toBeNull()
    })

    it('keeps secrets out, at any depth and however they are written', async () => {
      const entry = await rbac.audit.log({
        ...{ ...scope, action: 'a', before: { Pass_Word: 'x', headers: [{ Authorization: 'Bearer x', accept: '*' }] } },
        data: { apiKey: 'x', api_key: 'x', client: { clientSecret: 'x', token: 7 }, keyId: 'k', hasSecret: true },
        after: { stripeApiKey: 'x', accessToken: null, tokens: 5, refresh_token: { value: 'x' } },
      })
      const gone = '[redacted]'
      expect(entry).toMatchObject({
        before: { Pass_Word: gone, headers: [{ Authorization: gone, accept: '*' }] },
        data: { apiKey: gone, api_key: gone, client: { clientSecret: gone, token: gone }, keyId: 'k', hasSecret: true },
        after: { stripeApiKey: gone, accessToken: null, tokens: 5, refresh_token: gone },
      })
      const more = {
        ...{ passwordHash: 'x', accessKey: 'x', aws_secret_access_key: 'x', apiKeys: ['x'], userPassword: 123456 },
        ...{ privateKeyPem: 'x', 'Proxy-Authorization': 'x', passwords: { a: 'x' }, encryptionKey: 'x', otp_code: 12 },
      }
      const { data } = await log({ data: more })
      expect(Object.values(data)).toEqual(Object.keys(more).map(() => gone))
      expect((await log({ data: { maxTokens: 5, hasPassword: true } })).data).toEqual({
        maxTokens: 5,
        hasPassword: true,
      })
      const strict = createRbac({ storage: opened.storage, clock, logger: silent, audit: { redact: ['national_id'] } })
      await strict.audit.log({ ...scope, action: 'b', data: { nationalId: '1', name: 'n' } })
      const [kept] = (await rbac.audit.query(scope, { action: 'b' })).data
      expect(kept?.data).toEqual({ nationalId: gone, name: 'n' })
    })

    it('takes several targets, the first also as its resource', async () => {
      const [a, b] = ['a', 'b'].map((id) => ({ type: 'key', id })) as [{ type: string; id: string }, object]
      const entry = await log({ resource: a, targets: [b, a, b] })
      expect(entry).toMatchObject({ resource: a, targets: [a, b] })
      expect((await rbac.audit.query(scope, { resourceId: 'b' })).data).toEqual([entry])
      expect((await rbac.audit.query(scope, { text: 'KEY.CREATED' })).data).toEqual([entry])
      await expect(rbac.audit.query(scope, { text: '' })).rejects.toMatchObject({ code: 'invalid_input' })
    })

    it('notes what a refusal was over, however that is called', async () => {
      const context = await rbac.context(() => ({ ...scope, userId: 'eve' }))({})
      const attempt = { code: 'forbidden', detail: undefined }
      const over = [
        [undefined, []],
        [{ type: 'keys' }, [{ type: 'keys', id: '*' }]],
        [{ type: 'key', id: 'k1' }, [{ type: 'key', id: 'k1' }]],
        [{ type: '', id: 'k1' }, []],
        [{ type: 'key', id: '' }, [{ type: 'key', id: '*' }]],
        [
          { type: 't'.repeat(65), id: `${'i'.repeat(254)}😀` },
          [{ type: 't'.repeat(64), id: `${'i'.repeat(254)}\uFFFD` }],
        ],
        [{ type: 'key', id: '\uD800\0' }, [{ type: 'key', id: '\uFFFD\uFFFD' }]],
        // A host's JavaScript may hand in anything.
        [{ type: 'key', id: 7 as never }, [{ type: 'key', id: '*' }]],
        [{ type: null as never }, []],
      ] as const
      for (const [target] of over) await (context as RequestContext).onDenied?.({ ...attempt, target }, {})
      const { data } = await rbac.audit.query(scope, { outcome: 'denied' })
      expect(data.map(({ targets }) => targets).reverse()).toEqual(over.map(([, targets]) => targets))
    })
  })
}

describe('hooks of the audit log', () => {
  it('do not keep the sealer when they hang, and get what they missed again', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    try {
      const logger = recordingLogger()
      const never = new Promise<void>(() => {})
      const took: string[] = []
      let hangs = true
      const rbac = createRbac({
        storage: memoryStorage(),
        logger,
        audit: {
          checkpoints: { everyEntries: 1 },
          anchor: async ({ tenantId }) => (hangs ? never : void took.push(`anchor ${tenantId}`)),
          stream: async ([first]) => (hangs ? never : void took.push(`stream ${first?.tenantId}`)),
        },
      })
      for (const tenantId of ['a', 'b']) await rbac.audit.log({ tenantId, action: 'x' })
      let settled = false
      const sealing = rbac.audit
        .seal()
        .catch((error: Error) => error.message)
        .finally(() => {
          settled = true
        })
      // Between its batches the sealer lets others have the event loop, which no fake clock moves on.
      for (let turn = 0; turn < 100 && !settled; turn++) {
        await vi.advanceTimersByTimeAsync(10_000)
        await new Promise((resolve) => setImmediate(resolve))
      }
      expect(await sealing).toBe('no answer within 30000 ms')
      expect(logger.entries.map(({ level }) => level)).toEqual(['error', 'error'])
      expect(await rbac.audit.verify({ tenantId: 'b' })).toMatchObject({ ok: true, sealed: 1 })
      hangs = false
      expect(await rbac.audit.seal()).toMatchObject({ sealed: 0, anchored: 2, streamed: 2 })
      expect(took.sort()).toEqual(['anchor a', 'anchor b', 'stream a', 'stream b'])
    } finally {
      vi.useRealTimers()
    }
  })
})

describe('refused attempts', () => {
  const attempt: DeniedAttempt = {
    ...{ action: 'create', resource: 'keys', routeId: 'x.make', code: 'forbidden', detail: 'No.' },
  }
  const asked = async (options: RbacOptions<never> = {}) => {
    const logger = recordingLogger()
    const rbac = createRbac({ storage: memoryStorage(), logger, ...options }) as unknown as Rbac
    const contextOf = async (userId: string, more: object = {}) => {
      const context = await rbac.context(() => ({ tenantId: 'acme', userId, ...more }))({})
      return context as RequestContext
    }
    const denied = async () => (await rbac.audit.query({ tenantId: 'acme' }, { outcome: 'denied' })).data
    return { rbac, logger, contextOf, denied }
  }

  it('are in the log, with who tried what from where', async () => {
    const { contextOf, denied } = await asked()
    const context = await contextOf('eve')
    // As hosts wrap it: not as a method.
    const { onDenied } = context
    await onDenied?.(attempt, { ip: '192.0.2.1', userAgent: 'curl', requestId: 'r1' })
    const [entry] = await denied()
    expect(entry).toMatchObject({
      ...{ actor: { type: 'user', id: 'eve' }, action: 'access.denied', outcome: 'denied' },
      ...{ data: { permission: 'keys:create', route: 'x.make', code: 'forbidden', detail: 'No.' } },
      ...{ ip: '192.0.2.1', userAgent: 'curl', requestId: 'r1' },
    })
  })

  it('cannot flood the log: beyond so many a minute they are counted', async () => {
    vi.useFakeTimers({ toFake: ['Date', 'setTimeout', 'clearTimeout'] })
    const { contextOf, denied } = await asked({ audit: { deniedPerMinute: 3 } })
    const eve = await contextOf('eve')
    for (let i = 0; i < 10; i++) await eve.onDenied?.(attempt, {})
    await (await contextOf('bob')).onDenied?.(attempt, {})
    expect(await denied()).toHaveLength(4)
    vi.advanceTimersByTime(60_001)
    await eve.onDenied?.(attempt, {})
    const entries = await denied()
    expect(entries).toHaveLength(5)
    expect(entries.filter(({ data }) => data.suppressed !== undefined).map(({ data }) => data.suppressed)).toEqual([7])
    vi.useRealTimers()
  })

  it('are noted after a transaction of the request’s own, which they do not join', async () => {
    const database = memoryDatabase()
    const { contextOf, denied } = await asked({ storage: memoryStorage({ database }) })
    const undone = database.transaction(async (tx) => {
      const context = await contextOf('eve', { tx })
      await context.onDenied?.(attempt, {})
      throw new Error('undo')
    })
    await expect(undone).rejects.toThrow('undo')
    await database.transaction(async () => {})
    await new Promise(setImmediate)
    expect(await denied()).toHaveLength(1)
  })
})
