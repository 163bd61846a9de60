/** Secrets, addresses and counters. */
import { fakeClock, recordingLogger, testDatabases } from '@org/core/testing'
import { createRbac, type DomainEvent, type KeyOptions, memoryStorage } from '@org/rbac'
import { knexStorage, migrate } from '@org/rbac/knex'
import { defaultEventTypes } from '@org/webhooks'
import fc from 'fast-check'
import type { Redis } from 'ioredis'
import { type RateLimiterAbstract, RateLimiterMemory, RateLimiterRedis } from 'rate-limiter-flexible'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { headersOf } from '../src/keys/authenticate.js'
import { apiKeyOf } from '../src/keys/credentials.js'
import { callerOf, isWithin, parseRange } from '../src/keys/ip.js'
import { commonPermission } from '../src/keys/scopes.js'
import { createSecret, isSecret } from '../src/keys/secret.js'
import { matchesPermission } from '../src/permissions/permission.js'
import { testRedis } from './redis.js'

const tenantId = 'acme'

function setUp(keys: KeyOptions = {}) {
  const logger = recordingLogger()
  const events: DomainEvent[] = []
  let reads = 0
  let failing = false
  const storage = memoryStorage()
  const rbac = createRbac({
    ...{ logger, keys },
    storage: {
      ...storage,
      read: (work, tx) => storage.read((stores) => work({ ...stores, keys: { ...stores.keys, bySecret } }), tx),
    },
    events(event) {
      if (failing && event.type === 'rate_limit.exceeded') throw new Error('the sink is broken')
      events.push(event)
    },
  })
  const bySecret = (hash: string) => {
    reads++
    return storage.read((stores) => stores.keys.bySecret(hash))
  }
  const mint = (more = {}) => rbac.keys.create({ tenantId }, { name: 'CI', scopes: ['keys:read'], ...more })
  const breakSink = () => {
    failing = true
  }
  return { rbac, mint, events, logger, reads: () => reads, breakSink }
}

describe('the text of a key', () => {
  const random = { number: () => 0.5, bytes: (size: number) => crypto.getRandomValues(new Uint8Array(size)) }

  it('has 178 bits of chance, every digit as likely as another', () => {
    const counts = new Map<string, number>()
    const total = 3000
    for (let i = 0; i < total; i++) {
      for (const digit of createSecret(random, 'ak').secret.slice(3, 33))
        counts.set(digit, (counts.get(digit) ?? 0) + 1)
    }
    expect(counts.size).toBe(62)
    const mean = (total * 30) / 62
    // Six standard deviations: once in half a billion.
    for (const count of counts.values()) expect(Math.abs(count - mean)).toBeLessThan(6 * Math.sqrt(mean))
  })

  it('is told from anything else without a look at the database', async () => {
    const { rbac, mint, reads } = setUp()
    const { secret } = await mint()
    expect(isSecret(secret)).toBe(true)
    const digits = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
    for (let at = 3; at < secret.length; at++) {
      const other = digits[(digits.indexOf(secret[at] ?? '') + 1) % 62]
      const mistyped = secret.slice(0, at) + other + secret.slice(at + 1)
      expect(await rbac.keys.verify(mistyped)).toEqual({ valid: false, code: 'unknown' })
    }
    const garbage = ['', 'ak_', secret.slice(1), `${secret} `, `x${secret}`, secret.toUpperCase(), '\0', 'é'.repeat(40)]
    for (const text of [...garbage, undefined, null, 7, {}, [secret]] as string[]) {
      expect(await rbac.keys.verify(text)).toEqual({ valid: false, code: 'unknown' })
    }
    expect(reads()).toBe(0)
    expect((await rbac.keys.verify(secret)).valid).toBe(true)
    expect(reads()).toBe(1)
  })

  it('defect 6: is looked up by its hash, and one that nobody made is not found', async () => {
    const { rbac, mint, reads } = setUp()
    await mint()
    expect(await rbac.keys.verify(createSecret(random, 'ak').secret)).toEqual({ valid: false, code: 'unknown' })
    expect(reads()).toBe(1)
  })

  it('costs one read for each request, once the rights are known', async () => {
    const sqlite = (await testDatabases()).find(({ name }) => name === 'sqlite')
    const database = await sqlite?.open()
    if (!database) throw new Error('SQLite is always there')
    await migrate(database.knex)
    const clock = fakeClock()
    const rbac = createRbac({ storage: knexStorage(database.knex), logger: recordingLogger(), clock })
    await rbac.assignments.assign({ tenantId }, { userId: 'ann', role: 'owner' })
    const actor = { type: 'user', id: 'ann' } as const
    const { secret } = await rbac.keys.create({ tenantId, actor }, { name: 'CI', scopes: ['keys:read'] })
    const statements: string[] = []
    database.knex.on('query', ({ sql }: { sql: string }) => void statements.push(sql))
    await rbac.keys.verify(secret)
    await rbac.keys.flush()
    statements.length = 0
    for (let i = 0; i < 5; i++) expect((await rbac.keys.verify(secret)).valid).toBe(true)
    expect(statements).toHaveLength(5)
    const plan = await database.knex.raw(`explain query plan ${statements[0]}`, ['x'])
    const steps = plan.map(({ detail }: { detail: string }) => detail)
    expect(steps).toHaveLength(2)
    for (const step of steps) expect(step).toMatch(/^SEARCH .* USING INDEX/)
    await database.close()
  })

  it('goes on working when the host changes its prefix', async () => {
    const storage = memoryStorage()
    const logger = recordingLogger()
    const old = createRbac({ storage, logger, keys: { prefix: 'old' } })
    const { secret } = await old.keys.create({ tenantId }, { name: 'CI', scopes: ['keys:read'] })
    const { keys } = createRbac({ storage, logger, keys: { prefix: 'gw_live' } })
    expect((await keys.verify(secret)).valid).toBe(true)
    for (const prefix of ['', 'A', 'a-b', '_a', 'a_', 'a'.repeat(33), 'a b']) {
      expect(() => createRbac({ storage, logger, keys: { prefix } })).toThrow('prefix')
    }
    expect(() => createRbac({ storage, logger, keys: { failedAttempts: { limit: 0, windowMs: 1 } } })).toThrow('limit')
  })

  it('is found in a header beside sessions of the host’s own', () => {
    const { secret } = createSecret(random, 'ak')
    expect(apiKeyOf({ authorization: `Bearer ${secret}` })).toBe(secret)
    expect(apiKeyOf({ authorization: `bearer  ${secret} ` })).toBe(secret)
    expect(apiKeyOf({ 'x-api-key': 'whatever' })).toBe('whatever')
    for (const authorization of ['Bearer eyJ.eyJ.sig', `Basic ${secret}`, `Bearer ${secret.slice(0, -1)}0x`, secret]) {
      expect(apiKeyOf({ authorization })).toBeUndefined()
    }
  })
})

describe('the last use', () => {
  it('is tried once where the database is away, however many keys were used, and noted when it is back', async () => {
    const storage = memoryStorage()
    let away = false
    let tries = 0
    const rbac = createRbac({
      ...{ logger: recordingLogger(), clock: fakeClock() },
      storage: {
        ...storage,
        async run(work, tx) {
          if (!away) return storage.run(work, tx)
          tries++
          throw new Error('no connection')
        },
      },
    })
    const keys = []
    for (let i = 0; i < 250; i++) keys.push(await rbac.keys.create({ tenantId }, { name: 'CI', scopes: ['keys:read'] }))
    away = true
    for (const { secret } of keys) expect((await rbac.keys.verify(secret)).valid).toBe(true)
    tries = 0
    // As before the process ends: each try may wait for a connection for a minute.
    await rbac.keys.flush()
    expect(tries).toBe(1)
    away = false
    await rbac.keys.flush()
    const used = await Promise.all(keys.map(({ key }) => rbac.keys.get({ tenantId }, key.id)))
    expect(used.filter(({ lastUsedAt }) => lastUsedAt === null)).toEqual([])
  })
})

describe('scopes', () => {
  it('meet a permission in exactly what both grant', () => {
    const part = fc.constantFrom('*', 'keys', 'team')
    const action = fc.constantFrom('*', 'read', 'update')
    const permission = fc.oneof(
      fc.constant('*'),
      fc.tuple(part, action).map(([resource, verb]) => `${resource}:${verb}`),
    )
    const resources = ['keys', 'team', 'other']
    const verbs = ['read', 'update', 'other']
    fc.assert(
      fc.property(permission, permission, (one, other) => {
        const common = commonPermission(one, other)
        for (const resource of resources) {
          for (const verb of verbs) {
            const both = matchesPermission(one, resource, verb) && matchesPermission(other, resource, verb)
            expect(common !== null && matchesPermission(common, resource, verb)).toBe(both)
          }
        }
      }),
    )
  })
})

describe('addresses', () => {
  it('are in a range whatever way they are written', () => {
    const ranges = ['10.1.0.0/16', '192.0.2.7', '2001:db8::/32', '::ffff:198.51.100.0/120']
    for (const ip of [
      ...['10.1.255.255', '192.0.2.7', '::ffff:10.1.2.3', '::ffff:a01:203', '2001:DB8:0:0:1::9', '198.51.100.200'],
      '2001:db8::1%eth0',
    ]) {
      expect([ip, isWithin(ranges, ip)]).toEqual([ip, true])
    }
    for (const ip of [
      '10.2.0.1',
      '192.0.2.8',
      '2001:db9::1',
      '::10.1.2.3',
      '198.51.101.1',
      '',
      'localhost',
      undefined,
    ]) {
      expect([ip, isWithin(ranges, ip)]).toEqual([ip, false])
    }
    expect(isWithin(['0.0.0.0/0'], '203.0.113.9')).toBe(true)
    expect(isWithin(['::/0'], '203.0.113.9')).toBe(false)
  })

  it('that are none are refused when a key is made', async () => {
    const { mint } = setUp()
    const wrong = ['', 'x', '10.0.0.0/33', '::1/129', '10.0.0.0/', '10.0.0.0/8/8', '010.0.0.1', '1.2.3', '::1%eth0']
    for (const range of [...wrong, '::ffff:1.2.3.4/64', '10.0.0.0/-1', ' 10.0.0.1']) {
      expect([range, parseRange(range)]).toEqual([range, null])
      const pointer = '/allowedIps/0'
      await expect(mint({ allowedIps: [range] })).rejects.toMatchObject({
        code: 'invalid_input',
        errors: [{ pointer }],
      })
    }
    await expect(mint({ allowedIps: [] })).rejects.toMatchObject({ errors: [{ pointer: '/allowedIps' }] })
  })

  it('bind a key, and an unknown one is refused', async () => {
    const { rbac, mint } = setUp()
    const { secret } = await mint({ allowedIps: ['10.0.0.0/8'], rateLimit: { limit: 1, windowMs: 60_000 } })
    for (const ip of [undefined, '', '11.0.0.1', '::1']) {
      expect(await rbac.keys.verify(secret, { ip })).toMatchObject({ valid: false, code: 'ip_not_allowed' })
    }
    // Strangers do not use up what the key may do.
    expect((await rbac.keys.verify(secret, { ip: '::ffff:10.9.9.9' })).valid).toBe(true)
  })

  it('defect 9: count as one caller within a /64', () => {
    expect(callerOf('2001:db8:1:2:3:4:5:6')).toBe(callerOf('2001:db8:1:2::9'))
    expect(callerOf('2001:db8:1:2::')).not.toBe(callerOf('2001:db8:1:3::'))
    expect(callerOf('::ffff:192.0.2.1')).toBe(callerOf('192.0.2.1'))
    expect(callerOf('192.0.2.1')).not.toBe(callerOf('192.0.2.2'))
    expect(callerOf(undefined)).toBe(callerOf('nonsense'))
  })
})

describe('rate limits in memory', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['Date', 'setTimeout', 'clearTimeout'] }))
  afterEach(() => void vi.useRealTimers())
  const pass = (ms: number) => vi.advanceTimersByTime(ms)

  it('let so many requests through in each window, and say where a key stands', async () => {
    const { rbac, mint, events } = setUp()
    const rateLimit = { limit: 3, windowMs: 10_000 }
    const { key, secret } = await mint({ rateLimit })
    const other = await mint({ rateLimit })
    for (const remaining of [2, 1, 0]) {
      const found = await rbac.keys.verify(secret)
      expect(found).toMatchObject({ valid: true, rateLimit: { ...rateLimit, remaining, resetMs: 10_000 } })
    }
    pass(4000)
    const refused = { valid: false, code: 'rate_limited', retryAfterMs: 6000 }
    for (let i = 0; i < 5; i++) {
      expect(await rbac.keys.verify(secret)).toMatchObject({ ...refused, rateLimit: { remaining: 0 } })
    }
    expect((await rbac.keys.verify(other.secret)).valid).toBe(true)
    await rbac.keys.flush()
    const told = events.filter(({ type }) => type === 'rate_limit.exceeded')
    expect(told).toHaveLength(1)
    expect(told[0]).toMatchObject({
      ...{ tenantId, actor: { type: 'key', id: key.id }, resource: { type: 'key', id: key.id } },
      data: { keyId: key.id, name: 'CI', limit: 3, retryAfter: 6 },
    })
    expect(defaultEventTypes['rate_limit.exceeded'].safeParse(told[0]?.data).success).toBe(true)
    pass(6000)
    expect((await rbac.keys.verify(secret)).valid).toBe(true)
    for (let i = 0; i < 4; i++) await rbac.keys.verify(secret)
    await rbac.keys.flush()
    expect(events.filter(({ type }) => type === 'rate_limit.exceeded')).toHaveLength(2)
  })

  it('defect 9: free again under steady traffic', async () => {
    const { rbac, mint } = setUp()
    const { secret } = await mint({ rateLimit: { limit: 10, windowMs: 1000 } })
    let passed = 0
    // A request every 50 ms for 20 seconds: twice what the limit allows, and never a pause.
    for (let i = 0; i < 400; i++) {
      if ((await rbac.keys.verify(secret)).valid) passed++
      pass(50)
    }
    expect(passed).toBe(200)
  })

  it('follow a change of the limit at once', async () => {
    const { rbac, mint } = setUp()
    const { key, secret } = await mint({ rateLimit: { limit: 2, windowMs: 10_000 } })
    const code = async () => {
      const found = await rbac.keys.verify(secret)
      return found.valid ? 'valid' : found.code
    }
    expect([await code(), await code(), await code()]).toEqual(['valid', 'valid', 'rate_limited'])
    await rbac.keys.update({ tenantId }, key.id, { rateLimit: { limit: 5, windowMs: 10_000 } })
    expect([await code(), await code(), await code()]).toEqual(['valid', 'valid', 'rate_limited'])
    await rbac.keys.update({ tenantId }, key.id, { rateLimit: null })
    expect(await code()).toBe('valid')
  })

  it('answer, though the event cannot be told', async () => {
    const { rbac, mint, breakSink, logger } = setUp()
    const { secret } = await mint({ rateLimit: { limit: 1, windowMs: 1000 } })
    breakSink()
    expect((await rbac.keys.verify(secret)).valid).toBe(true)
    expect(await rbac.keys.verify(secret)).toMatchObject({ valid: false, code: 'rate_limited' })
    await rbac.keys.flush()
    expect(logger.entries.find(({ message }) => message.includes('rate_limit.exceeded'))?.level).toBe('error')
  })

  it('refuse when a limiter of the host’s refuses by itself', async () => {
    // As one with `inMemoryBlockOnConsumed`, or with points of its own.
    const { rbac, mint, logger } = setUp({ rateLimiter: (options) => new RateLimiterMemory({ ...options, points: 2 }) })
    const { secret } = await mint({ rateLimit: { limit: 5, windowMs: 10_000 } })
    const found = [await rbac.keys.verify(secret), await rbac.keys.verify(secret), await rbac.keys.verify(secret)]
    expect(found.map(({ valid }) => valid)).toEqual([true, true, false])
    expect(found[2]).toMatchObject({ code: 'rate_limited', retryAfterMs: 10_000 })
    expect(logger.entries.filter(({ level }) => level === 'error')).toEqual([])
  })

  it('are not set up with a limiter that is none, which would limit nobody', () => {
    for (const limiter of [
      undefined,
      {},
      Promise.resolve(new RateLimiterMemory({ points: 1, duration: 1 })),
      { consume: async () => {} },
    ]) {
      const rateLimiter = (() => limiter) as unknown as NonNullable<KeyOptions['rateLimiter']>
      expect(() => setUp({ rateLimiter })).toThrow(expect.objectContaining({ code: 'setup_error' }))
    }
  })

  it('wait no longer than half a second for a store that hangs, and refuse nobody', async () => {
    const never = () => new Promise<never>(() => {})
    const { rbac, mint, logger } = setUp({ rateLimiter: () => ({ consume: never, get: never }) })
    const { secret } = await mint({ rateLimit: { limit: 1, windowMs: 1000 } })
    const inTime = async <T>(work: Promise<T>) => {
      let answer: T | 'none' = 'none'
      void work.then((found) => {
        answer = found
      })
      for (let i = 0; i < 11; i++) await vi.advanceTimersByTimeAsync(50)
      return answer
    }
    expect(await inTime(rbac.keys.verify(secret))).toMatchObject({ valid: true, rateLimit: null })
    expect(logger.entries.map(({ level }) => level)).toEqual(['error'])
    const request = { headers: { 'user-agent': 'curl' }, ip: '192.0.2.1' }
    const known = (async () => rbac.context(() => ({ apiKey: secret }))(request))()
    for (let i = 0; i < 22; i++) await vi.advanceTimersByTimeAsync(50)
    expect(await inTime(known)).toMatchObject({ tenantId })
  })

  it('are made of whole seconds', async () => {
    const { mint } = setUp()
    for (const rateLimit of [
      ...[
        { limit: 0, windowMs: 1000 },
        { limit: 1, windowMs: 999 },
        { limit: 1, windowMs: 1500 },
      ],
      ...[{ limit: 1, windowMs: 86_401_000 }, { limit: 1.5, windowMs: 1000 }, { limit: 1 }],
    ]) {
      await expect(mint({ rateLimit })).rejects.toMatchObject({ code: 'invalid_input' })
    }
  })

  it('are told in the headers of the draft, and in those before it', () => {
    expect(headersOf({ limit: 100, windowMs: 60_000, remaining: 7, resetMs: 1001 })).toEqual({
      ...{ 'ratelimit-policy': '"key";q=100;w=60', ratelimit: '"key";r=7;t=2' },
      ...{ 'ratelimit-limit': '100', 'ratelimit-remaining': '7', 'ratelimit-reset': '2' },
    })
  })
})

const { missing, connect } = await testRedis()

describe.skipIf(missing)('rate limits in Redis', () => {
  let redis: Redis
  const run = crypto.randomUUID()
  const rateLimiter: KeyOptions['rateLimiter'] = ({ keyPrefix, ...options }): RateLimiterAbstract =>
    new RateLimiterRedis({ ...options, keyPrefix: `${run}:${keyPrefix}`, storeClient: redis })

  beforeEach(async () => {
    redis = await connect()
  })
  afterEach(async () => {
    if (redis.status !== 'ready') return
    const left = await redis.keys(`${run}:*`)
    if (left.length > 0) await redis.del(left)
    await redis.quit()
  })

  it('count for all processes together, and tell once', async () => {
    const storage = memoryStorage()
    const events: DomainEvent[] = []
    const make = () =>
      createRbac({ storage, logger: recordingLogger(), keys: { rateLimiter }, events: (e) => void events.push(e) })
    const [here, there] = [make(), make()]
    const { key, secret } = await here.keys.create(
      { tenantId },
      { name: 'CI', scopes: ['keys:read'], rateLimit: { limit: 10, windowMs: 60_000 } },
    )
    const found = await Promise.all(Array.from({ length: 40 }, (_, i) => (i % 2 ? here : there).keys.verify(secret)))
    expect(found.filter(({ valid }) => valid)).toHaveLength(10)
    const refused = found.find(({ valid }) => !valid)
    expect(refused).toMatchObject({ code: 'rate_limited', rateLimit: { remaining: 0 } })
    await Promise.all([here.keys.flush(), there.keys.flush()])
    expect(events.filter(({ type }) => type === 'rate_limit.exceeded')).toHaveLength(1)
    const ttl = await redis.pttl(`${run}:rbac_key:${key.id}:60`)
    expect(ttl).toBeGreaterThan(50_000)
    // Defect 9: what comes in meanwhile does not hold the window open.
    await redis.pexpire(`${run}:rbac_key:${key.id}:60`, 1)
    await expect.poll(async () => (await here.keys.verify(secret)).valid).toBe(true)
  })

  it('refuse nobody while Redis is away, and say so', async () => {
    const { rbac, mint, logger } = setUp({ rateLimiter })
    const { secret } = await mint({ rateLimit: { limit: 1, windowMs: 60_000 } })
    await redis.quit()
    for (let i = 0; i < 3; i++) expect(await rbac.keys.verify(secret)).toMatchObject({ valid: true, rateLimit: null })
    expect(logger.entries.filter(({ level }) => level === 'error')).toHaveLength(3)
    expect(JSON.stringify(logger.entries)).not.toContain(secret)
  })
})
