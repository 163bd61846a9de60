import { isProblem } from '@org/core'
import { type FakeClock, httpTargets, mounted, testDatabases } from '@org/core/testing'
import {
  createWebhooks,
  memoryStorage,
  type RetentionOptions,
  type Webhooks,
  type WebhooksStorage,
} from '@org/webhooks'
import * as express from '@org/webhooks/express'
import { knexStorage, migrate } from '@org/webhooks/knex'
import * as koa from '@org/webhooks/koa'
import request from 'supertest'
import { describe, expect, it, onTestFinished } from 'vitest'
import { emptyStats } from '../src/stats/tally.js'
import { receiver } from './receiver.js'
import { testStorages } from './storages.js'
import { keyCreated, scope, world } from './world.js'

const day = 86_400_000
const nothing = { messages: 0, deliveries: 0, attempts: 0, payloads: 0, discarded: 0, jobs: 0, stats: 0 }

const problemOf = async (work: Promise<unknown>) => {
  const error = await work.catch((caught: unknown) => caught)
  return isProblem(error) ? { code: error.code, detail: error.detail } : error
}
const codeOf = async (work: Promise<unknown>) => {
  const error = await work.catch((caught: unknown) => caught)
  return isProblem(error) ? error.code : error
}

/** Answers 500 to what says so in its data, and repeats to the sender what it was sent. */
const repeating = () =>
  receiver(({ body }, _, response) => response.writeHead(body.includes('fail') ? 500 : 200).end(body))

const ofKey = (keyId: string) => ({ ...keyCreated, data: { keyId } })

for (const { name, missing, open } of await testStorages()) {
  describe.skipIf(missing)(`retention on ${name}`, () => {
    it('removes what ended long ago, and keeps what is still to be done', async () => {
      const { storage, close } = await open()
      const retention = { setAsideMs: null }
      const { webhooks, clock } = world({ storage, retention, retry: { scheduleMs: [0, 200 * day] } })
      const target = await repeating()
      const endpoint = await webhooks.endpoints.create(scope, { url: target.url })
      const deleted = await webhooks.endpoints.create(scope, { url: target.url })
      const off = await webhooks.endpoints.create(scope, { url: target.url, eventTypes: ['key.revoked'] })
      const done = await webhooks.publish(ofKey('done'))
      await webhooks.drain()
      await webhooks.endpoints.delete(scope, deleted.id)
      const again = await webhooks.publish(ofKey('again'))
      const pending = await webhooks.publish(ofKey('fail'))
      await webhooks.drain()
      await webhooks.endpoints.disable(scope, off.id)
      const held = await webhooks.publish({ tenantId: 't1', type: 'key.revoked', data: { keyId: 'held' } })
      await webhooks.drain()
      const nobodys = await webhooks.publish({ ...ofKey('nobody'), tenantId: 't2' })
      const published = [done, again, pending, held].map(({ messageId }) => messageId)
      const left = async () => {
        const found = await storage.read(({ messages }) => messages.byIds([...published, nobodys.messageId]))
        return found.map(({ id }) => id).sort()
      }
      clock.advance(90 * day)
      expect(await webhooks.prune()).toEqual(nothing)
      clock.advance(1)
      const [delivery] = (await webhooks.deliveries.list(scope, { messageId: again.messageId })).data
      await webhooks.deliveries.retry(scope, delivery?.id ?? '')
      await webhooks.drain()
      expect(await webhooks.prune()).toEqual({ ...nothing, messages: 2, deliveries: 2, attempts: 2 })
      expect(await left()).toEqual([again, pending, held].map(({ messageId }) => messageId).sort())
      expect(await codeOf(webhooks.messages.get(scope, done.messageId))).toBe('not_found')
      expect((await webhooks.deliveries.list(scope, { messageId: done.messageId })).data).toEqual([])
      expect((await webhooks.deliveries.attempts(scope, delivery?.id ?? '')).data.length).toBe(2)

      // Sent again 90 days after it was published, it is kept for as long after that; what is pending fails for good.
      clock.advance(90 * day + 1)
      expect(await webhooks.prune()).toEqual({ ...nothing, messages: 1, deliveries: 1, attempts: 2 })
      clock.advance(200 * day)
      expect(await webhooks.drain()).toMatchObject({ deadLettered: 1 })
      clock.advance(100 * day)
      expect((await webhooks.prune()).messages).toBe(0)
      const [dead] = (await webhooks.deadLetters.list(scope)).data
      await webhooks.deadLetters.discard(scope, dead?.id ?? '')
      await webhooks.endpoints.delete(scope, off.id)
      await webhooks.endpoints.delete(scope, endpoint.id)
      expect(await webhooks.prune({ now: clock.now() + 90 * day + 1 })).toMatchObject({ messages: 2, deliveries: 3 })
      expect(await left()).toEqual([])
      expect(await codeOf(webhooks.prune({ now: Number.NaN }))).toBe('invalid_input')
      await close()
    })

    it('goes by parts, however much there is', async () => {
      const { storage, close } = await open()
      const { webhooks, clock } = world({ storage })
      await webhooks.publishBatch(Array.from({ length: 1_203 }, () => keyCreated))
      await webhooks.endpoints.create(scope, { url: 'https://example.com/hooks' })
      const { messageId } = await webhooks.publish(ofKey('wide'))
      const [one] = (await webhooks.deliveries.list(scope, { messageId })).data
      const ended = { status: 'canceled', endedAt: clock.now() } as const
      const stored = await storage.read(({ deliveries }) => deliveries.get('t1', one?.id ?? ''))
      await storage.run(async ({ deliveries }) => {
        if (!stored) throw new Error('it is there')
        await deliveries.update(stored.id, ended)
        const wide = Array.from({ length: 4_500 }, (_, n) => ({ ...stored, ...ended, id: `del_${n}` }))
        await deliveries.insert(wide)
      })
      await webhooks.publishBatch(Array.from({ length: 3 }, () => ({ ...keyCreated, tenantId: 't3' })))
      clock.advance(90 * day + 1)
      const turns = counted(storage)
      const { prune } = createWebhooks({ storage: turns.storage, clock })
      expect(await prune()).toMatchObject({ messages: 1_207, deliveries: 4_501 })
      expect(turns.count()).toBeGreaterThan(6)
      expect(turns.count()).toBeLessThan(14)
      expect(await prune()).toEqual(nothing)
      await close()
    })

    it('forgets payloads sooner, if told', async () => {
      const { storage, close } = await open()
      const retention = { payloadsMs: day, messagesMs: null } satisfies RetentionOptions
      const { webhooks, clock } = world({ storage, retention, retry: { scheduleMs: [0] } })
      const target = await repeating()
      await webhooks.endpoints.create(scope, { url: target.url })
      const sent = await webhooks.publish({ ...ofKey('sent'), idempotencyKey: 'once' })
      const dead = await webhooks.publish(ofKey('fail'))
      await webhooks.drain()
      clock.advance(day + 1)
      expect(await webhooks.prune()).toEqual({ ...nothing, payloads: 1 })
      expect(await webhooks.prune()).toEqual(nothing)
      expect(await webhooks.messages.get(scope, sent.messageId)).toMatchObject({ expunged: true, data: null })
      expect(await webhooks.messages.get(scope, dead.messageId)).toMatchObject({ expunged: false })
      expect(await bodiesOf(webhooks, sent.messageId)).toEqual([null])
      expect(await bodiesOf(webhooks, dead.messageId)).toEqual([target.received[1]?.body])
      const again = await webhooks.publish({ ...ofKey('sent'), idempotencyKey: 'once' })
      expect(again).toMatchObject({ messageId: sent.messageId, duplicate: true })
      await close()
    })

    it('removes old statistics, many at once', async () => {
      const { storage, close } = await open()
      const { webhooks, clock } = world({ storage })
      const now = clock.now()
      const ids = Array.from({ length: 601 }, (_, n) => `ep_${n}`)
      const at = (id: string, time: number) => ({ ...emptyStats(id, 't1', time), attempts: 1 })
      await storage.run(async ({ stats }) => {
        await stats.add(ids.map((id) => at(id, now - 401 * day)))
        await stats.add(ids.map((id) => at(id, now - 402 * day)))
        await stats.add([at('ep_0', now - 400 * day)])
      })
      expect(await webhooks.prune()).toEqual({ ...nothing, stats: 1_202 })
      const left = await storage.read(({ stats }) => stats.between('t1', 'ep_0', 0, now))
      expect(left.map(({ hour }) => hour)).toEqual([now - 400 * day])
      await close()
    })

    it('gives up what was set aside for too long, and says so', async () => {
      const { storage, close } = await open()
      const { webhooks, clock, events, log } = world({ storage, retry: { scheduleMs: [0] } })
      const target = await repeating()
      const off = await webhooks.endpoints.create(scope, { url: target.url, eventTypes: ['key.revoked'] })
      await webhooks.endpoints.create(scope, { url: target.url, eventTypes: ['key.created'] })
      await webhooks.endpoints.disable(scope, off.id)
      await webhooks.publish(ofKey('fail'))
      await webhooks.publish({ tenantId: 't1', type: 'key.revoked', data: { keyId: 'held' } })
      expect(await webhooks.drain()).toMatchObject({ deadLettered: 1, held: 1 })
      const statuses = async () => (await webhooks.deliveries.list(scope)).data.map(({ status }) => status)
      clock.advance(180 * day)
      expect(await webhooks.prune()).toEqual(nothing)
      clock.advance(1)
      expect(await webhooks.prune()).toEqual({ ...nothing, discarded: 2 })
      expect(await statuses()).toEqual(['discarded', 'discarded'])
      const told = events.filter(({ type }) => type === 'delivery.discarded')
      expect(told.map(({ actor, data }) => [actor.type, data.eventType]).sort()).toEqual([
        ['system', 'key.created'],
        ['system', 'key.revoked'],
      ])
      expect(log.filter(({ level }) => level === 'warn').at(-1)).toMatchObject({
        message: expect.stringContaining('`retention.setAsideMs`'),
        fields: { deliveries: 2, endpoints: 2 },
      })
      clock.advance(90 * day)
      expect(await webhooks.prune()).toEqual(nothing)
      clock.advance(1)
      expect(await webhooks.prune()).toEqual({ ...nothing, messages: 2, deliveries: 2, attempts: 1 })
      await close()
    })

    it('counts what was set aside from then on, however old its message, and goes by parts', async () => {
      const { storage, close } = await open()
      const { webhooks, clock } = world({ storage })
      await webhooks.endpoints.create(scope, { url: 'https://example.com/hooks' })
      const { messageId } = await webhooks.publish(keyCreated)
      const [one] = (await webhooks.deliveries.list(scope, { messageId })).data
      const stored = await storage.read(({ deliveries }) => deliveries.get('t1', one?.id ?? ''))
      const ended = { status: 'dead_letter', endedAt: clock.now() } as const
      await storage.run(async ({ deliveries }) => {
        if (!stored) throw new Error('it is there')
        await deliveries.update(stored.id, ended)
        const wide = Array.from({ length: 1_100 }, (_, n) => ({ ...stored, ...ended, id: `del_${n}` }))
        const since = clock.now() + 100 * day
        const late = [
          { ...stored, id: 'del_late1', status: 'dead_letter' as const, endedAt: since },
          { ...stored, id: 'del_late2', status: 'held' as const, dueAt: since },
        ]
        await deliveries.insert([...wide, ...late])
      })
      clock.advance(180 * day + 1)
      expect(await webhooks.prune()).toEqual({ ...nothing, discarded: 1_101 })
      clock.advance(100 * day)
      expect(await webhooks.prune()).toMatchObject({ discarded: 2, messages: 0 })
      await close()
    })

    it('removes jobs that ended long ago', async () => {
      const { storage, close } = await open()
      const { webhooks, clock } = world({ storage })
      const [first, second] = [
        await webhooks.deadLetters.redriveAll(scope),
        await webhooks.deadLetters.redriveAll(scope),
      ]
      await webhooks.jobs.cancel(scope, first.id)
      clock.advance(90 * day + 1)
      expect(await webhooks.prune()).toEqual({ ...nothing, jobs: 1 })
      expect((await webhooks.jobs.list(scope)).data).toMatchObject([{ id: second.id, status: 'running' }])
      await webhooks.drain()
      clock.advance(90 * day)
      expect(await webhooks.prune()).toEqual(nothing)
      clock.advance(1)
      expect(await webhooks.prune()).toEqual({ ...nothing, jobs: 1 })
      await close()
    })

    it('keeps for ever what it is told to', async () => {
      const { storage, close } = await open()
      const never = { messagesMs: null, setAsideMs: null, jobsMs: null, statsMs: null }
      const { webhooks, clock } = world({ storage, retention: never })
      const { id } = await webhooks.endpoints.create(scope, { url: 'https://example.com/hooks' })
      await webhooks.endpoints.disable(scope, id)
      await webhooks.publish(keyCreated)
      await webhooks.deadLetters.redriveAll(scope)
      expect(await webhooks.drain()).toMatchObject({ held: 1 })
      await storage.run(({ stats }) => stats.add([emptyStats('ep_1', 't1', 0)]))
      clock.advance(4_000 * day)
      expect(await webhooks.prune()).toEqual(nothing)
      await close()
    })

    it('leaves what somebody is sending, and what a dead worker was sending goes', async () => {
      const { storage, close } = await open()
      const { webhooks, clock } = world({ storage })
      await webhooks.endpoints.create(scope, { url: 'https://example.com/hooks' })
      await webhooks.publish(keyCreated)
      const [delivery] = (await webhooks.deliveries.list(scope)).data
      const id = delivery?.id ?? ''
      const leased = { status: 'canceled', endedAt: clock.now(), leaseToken: 'lease_1' } as const
      clock.advance(91 * day)
      await storage.run(({ deliveries }) => deliveries.update(id, { ...leased, leaseUntil: clock.now() + 60_000 }))
      expect(await webhooks.prune()).toEqual(nothing)
      expect(await webhooks.prune({ now: clock.now() + 91 * day })).toMatchObject({ messages: 1, deliveries: 1 })
      await close()
    })

    it('expunges a message, and what of it was noted', async () => {
      const { storage, close } = await open()
      const { webhooks, events } = world({ storage, retry: { scheduleMs: [0, 1_000] } })
      const target = await repeating()
      await webhooks.endpoints.create(scope, { url: target.url })
      const { messageId } = await webhooks.publish({ ...ofKey('fail'), idempotencyKey: 'once' })
      const other = await webhooks.publish(ofKey('other'))
      await webhooks.drain()
      expect(await bodiesOf(webhooks, messageId)).toEqual([target.received[0]?.body])
      expect(await codeOf(webhooks.messages.expunge({ tenantId: 't2' }, messageId))).toBe('not_found')
      expect(await webhooks.messages.expunge(scope, messageId)).toEqual({ canceled: 1 })
      expect(await webhooks.messages.expunge(scope, messageId)).toEqual({ canceled: 0 })
      expect(await webhooks.messages.get(scope, messageId)).toMatchObject({ data: null, expunged: true })
      expect((await webhooks.deliveries.list(scope, { messageId })).data).toMatchObject([{ status: 'canceled' }])
      expect(await bodiesOf(webhooks, messageId)).toEqual([null])
      expect(await bodiesOf(webhooks, other.messageId)).toEqual([target.received[1]?.body])
      expect(events.filter(({ type }) => type === 'message.expunged')).toMatchObject([
        {
          actor: scope.actor,
          resource: { type: 'message', id: messageId },
          data: { messageId, eventType: 'key.created', canceled: 1 },
        },
      ])
      const again = await webhooks.publish({ ...ofKey('fail'), idempotencyKey: 'once' })
      expect(again).toMatchObject({ messageId, duplicate: true })

      const [{ id } = { id: '' }] = (await webhooks.deliveries.list(scope, { messageId })).data
      expect(await codeOf(webhooks.deliveries.retry(scope, id))).toBe('payload_expunged')
      // Somebody had it sent again at the same moment: there is nothing to send.
      await storage.run(({ deliveries }) => deliveries.update(id, { status: 'pending', dueAt: 0, endedAt: null }))
      expect(await webhooks.drain()).toMatchObject({ canceled: 1 })
      expect(target.received.length).toBe(2)
      await close()
    })

    it('notes nothing of an attempt that was under way', async () => {
      const { storage, close } = await open()
      const { webhooks } = world({ storage })
      const sent = { messageId: '' }
      const target = await receiver(({ body }, _, response) => {
        webhooks.messages.expunge(scope, sent.messageId).then(() => response.end(body))
      })
      await webhooks.endpoints.create(scope, { url: target.url, maxInFlight: 1 })
      Object.assign(sent, await webhooks.publish(keyCreated))
      await webhooks.drain()
      expect((await webhooks.deliveries.list(scope)).data).toMatchObject([{ status: 'canceled' }])
      expect(await bodiesOf(webhooks, sent.messageId)).toEqual([])
      // The place that it had in flight is free.
      Object.assign(sent, await webhooks.publish(keyCreated))
      await webhooks.drain()
      expect(target.received.length).toBe(2)
      await close()
    })
  })
}

async function bodiesOf({ deliveries }: Pick<Webhooks, 'deliveries'>, messageId: string) {
  const { data } = await deliveries.list(scope, { messageId })
  const attempts = await Promise.all(data.map(({ id }) => deliveries.attempts(scope, id)))
  return attempts.flatMap((page) => page.data.map(({ responseBody }) => responseBody))
}

/** Counts transactions, and what a worker did in each. */
function counted(inner: WebhooksStorage) {
  let runs = 0
  const storage: WebhooksStorage = {
    ...inner,
    run(work, tx, options) {
      runs++
      return inner.run(work, tx, options)
    },
  }
  return { storage, count: () => runs }
}

describe('a worker', () => {
  const working = (clock: FakeClock, storage: WebhooksStorage) => {
    const { webhooks } = world({ clock, storage })
    const worker = webhooks.startWorker({ pollMs: 2 })
    onTestFinished(() => worker.stop())
    return webhooks
  }

  it('prunes in the background, a minute after its start and then every five', async () => {
    const storage = memoryStorage()
    const { webhooks, clock } = world({ storage })
    const exists = async () => (await storage.read(({ messages }) => messages.byIds(ids))).length
    const ids: string[] = []
    const publish = async () => ids.push((await webhooks.publish(keyCreated)).messageId)
    await publish()
    clock.advance(91 * day)
    const turns = counted(storage)
    working(clock, turns.storage)
    await expect.poll(turns.count).toBeGreaterThan(3) // chores ask for fan-outs
    expect(await exists()).toBe(1)
    clock.advance(60_000)
    await expect.poll(exists).toBe(0)
    await publish()
    await publish()
    const start = clock.now()
    clock.set(start + 299_000)
    const before = turns.count()
    await expect.poll(turns.count).toBeGreaterThan(before + 3)
    expect(await exists()).toBe(2)
    clock.set(start + 91 * day)
    await expect.poll(exists).toBe(0)
  })

  it('comes back for what could not go when it passed', async () => {
    const storage = memoryStorage()
    const { webhooks, clock } = world({ storage })
    await webhooks.endpoints.create(scope, { url: 'https://example.com/hooks' })
    const { messageId } = await webhooks.publish(keyCreated)
    const [delivery] = (await webhooks.deliveries.list(scope)).data
    const patch = { status: 'dead_letter', endedAt: clock.now() } as const
    await storage.run(({ deliveries }) => deliveries.update(delivery?.id ?? '', patch))
    clock.advance(91 * day)
    const turns = counted(storage)
    working(clock, turns.storage)
    const passes = async () => {
      const before = turns.count()
      await expect.poll(turns.count).toBeGreaterThan(before + 8)
    }
    const isThere = async () => (await storage.read(({ messages }) => messages.byIds([messageId]))).length === 1
    await passes()
    clock.advance(60_000)
    await passes()
    expect(await isThere()).toBe(true)
    await storage.run(({ deliveries }) => deliveries.update(delivery?.id ?? '', { status: 'discarded' }))
    clock.advance(300_000)
    await passes()
    expect(await isThere()).toBe(true)
    clock.advance(day)
    await expect.poll(isThere).toBe(false)
  })
})

describe('the option', () => {
  it.each([
    [{ messagesMs: 3_599_999 }, '`retention.messagesMs` must be null or a whole number of milliseconds'],
    [{ payloadsMs: Number.NaN }, '`retention.payloadsMs`'],
    [{ statsMs: '1' as never }, '`retention.statsMs`'],
    [{ days: 3 } as never, '`retention` takes messagesMs, payloadsMs, setAsideMs, jobsMs, statsMs, and no days.'],
  ])('refuses %o', async (retention: RetentionOptions, detail) => {
    const made = (async () => createWebhooks({ storage: memoryStorage(), retention }))()
    expect(await problemOf(made)).toEqual({ code: 'setup_error', detail: expect.stringContaining(detail) })
  })
})

for (const target of await testDatabases()) {
  describe.skipIf(target.missing)(`retention on ${target.name} with others`, () => {
    it('goes past what others hold, and what they are having sent again', async () => {
      const { knex, close } = await target.open({ pool: 6 })
      await migrate(knex)
      const storage = knexStorage(knex)
      const { webhooks, clock } = world({ storage })
      const target_ = await receiver()
      await webhooks.endpoints.create(scope, { url: target_.url })
      const [first, second] = await webhooks.publishBatch([keyCreated, keyCreated])
      await webhooks.drain()
      clock.advance(91 * day)
      const [delivery] = (await webhooks.deliveries.list(scope, { messageId: second?.messageId })).data
      if (target.name !== 'sqlite') {
        await knex.transaction(async (tx) => {
          await tx('webhooks_messages').where('id', first?.messageId).forUpdate().first()
          await webhooks.deliveries.retry({ ...scope, tx }, delivery?.id ?? '')
          expect(await webhooks.prune()).toEqual(nothing)
        })
        await webhooks.drain()
        expect(target_.received.length).toBe(3)
      }
      clock.advance(91 * day)
      const both = await Promise.all([webhooks.prune(), world({ storage, clock }).webhooks.prune()])
      expect(both.reduce((sum, { messages }) => sum + messages, 0)).toBe(2)
      await close()
    })
  })
}

it('keeps the payload of what somebody has sent again before its message was locked', async () => {
  const inner = memoryStorage()
  let sendAgain = async () => {}
  const storage: WebhooksStorage = {
    ...inner,
    run: (work, tx, options) =>
      inner.run(
        (stores, joined) => {
          const ended: typeof stores.retention.ended = async (request) => {
            const found = await stores.retention.ended(request)
            if (request.withPayload) await sendAgain()
            return found
          }
          const deliveries = stores.deliveries
          sendAgain = () => deliveries.updateAll(ids, { status: 'pending', endedAt: null })
          return work({ ...stores, retention: { ...stores.retention, ended } }, joined)
        },
        tx,
        options,
      ),
  }
  const { webhooks, clock } = world({ storage, retention: { payloadsMs: day } })
  const target = await receiver()
  await webhooks.endpoints.create(scope, { url: target.url })
  await webhooks.publish(keyCreated)
  await webhooks.drain()
  const ids = (await webhooks.deliveries.list(scope)).data.map(({ id }) => id)
  clock.advance(2 * day)
  expect(await webhooks.prune()).toMatchObject({ payloads: 0 })
  expect(await webhooks.drain()).toMatchObject({ delivered: 1, canceled: 0 })
})

it('finds all that it looks for by an index', async () => {
  const sqlite = (await testDatabases()).find(({ name }) => name === 'sqlite')
  if (!sqlite) throw new Error('SQLite is always there')
  const { knex, close } = await sqlite.open({ pool: 1 })
  await migrate(knex)
  const { webhooks, clock } = world({ storage: knexStorage(knex), retention: { payloadsMs: day } })
  const target = await receiver()
  const { id } = await webhooks.endpoints.create(scope, { url: target.url })
  const { messageId } = await webhooks.publish(keyCreated)
  await webhooks.publish(keyCreated)
  await webhooks.drain()
  const seen: { sql: string; bindings: unknown[] }[] = []
  knex.on('query', ({ sql, bindings }) => seen.push({ sql, bindings }))
  await webhooks.endpoints.stats(scope, id)
  await webhooks.health()
  await webhooks.messages.expunge(scope, messageId)
  clock.advance(2 * day)
  await webhooks.prune()
  clock.advance(500 * day)
  expect(await webhooks.prune()).toMatchObject({ messages: 2, stats: 1 })
  const statements = seen.filter(({ sql }) => /^(select|update|delete|with)/.test(sql))
  expect(statements.length).toBeGreaterThan(20)
  let setAside = 0
  for (const { sql, bindings } of statements) {
    const plan: { detail: string }[] = await knex.raw(`explain query plan ${sql}`, bindings as string[])
    const scans = plan
      .map(({ detail }) => detail)
      .filter((detail) => /SCAN (webhooks_|d\b)(?!.*USING .*INDEX)/.test(detail))
    expect([sql, scans]).toEqual([sql, []])
    if (plan.some(({ detail }) => detail.includes('webhooks_deliveries_endpoint_set_aside'))) setAside++
  }
  expect(setAside).toBe(2)
  await close()
})

for (const target of httpTargets()) {
  it(`expunges over HTTP: ${target.name}`, async () => {
    const webhooks = createWebhooks({ storage: memoryStorage() })
    const context = (rights: unknown) => ({
      ...scope,
      ability: { can: (action: string, subject: unknown) => `${subject}:${action}` === rights },
    })
    const server = await target.listen(
      mounted(webhooks.http, {
        express: () => express.webhooksRouter(webhooks, { context: (req) => context(req.headers['x-rights']) }),
        koa: () => koa.webhooksRouter(webhooks, { context: (ctx) => context(ctx.headers['x-rights']) }),
      }),
    )
    const { messageId } = await webhooks.publish(keyCreated)
    const remove = (rights: string, id = messageId) =>
      request(server.url).delete(`/messages/${id}/payload`).set('x-rights', rights)
    await remove('webhooks:update').expect(403)
    await remove('webhooks:delete').expect(204)
    await remove('webhooks:delete', 'msg_9').expect(404)
    expect(await webhooks.messages.get(scope, messageId)).toMatchObject({ expunged: true, data: null })
    await server.close()
  })
}
