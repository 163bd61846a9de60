/** Receivers that misbehave in every way, all at once, next to one that is well: what becomes of each delivery. */
import { describe, expect, it } from 'vitest'
import type { AttemptError, DeliveryStatus } from '../src/deliveries/schema.js'
import { badChunk, drips, floods, type Hostile, ok, says, saysAndCloses } from './hostile.js'
import { closedPort, loopback, rawReceiver, receiver } from './receiver.js'
import { testStorages } from './storages.js'
import { keyCreated, scope, world } from './world.js'

const minute = 60_000
const hour = 60 * minute
/** Those that never answer are given the shortest deadline, and the others as long as a busy machine takes. */
const deadlines = { short: 1_000, long: 15_000 }

/** Messages that everybody hears (too few to open a circuit), and those that only the healthy one does. */
const shared = 8
const own = 192

interface Fate {
  error: AttemptError | null
  status: DeliveryStatus
  /** How many attempts each delivery takes. */
  attempts: number
}

const givenUp = (error: AttemptError): Fate => ({ error, status: 'dead_letter', attempts: 2 })

const raw: [string, Hostile, Fate][] = [
  ['hangs', () => {}, givenUp('timeout')],
  ['drips its headers', drips(`${ok}slow: `), givenUp('timeout')],
  ['drips its body', drips(`${ok}content-length: 999\r\n\r\n`), givenUp('timeout')],
  ['closes at once', (socket) => socket.destroy(), givenUp('connection_closed')],
  ['closes within its body', saysAndCloses(`${ok}content-length: 9\r\n\r\nhalf`), givenUp('connection_closed')],
  ['sends a bad chunk', badChunk, givenUp('malformed_response')],
  ['sends no HTTP', says('hello\r\n\r\n'), givenUp('malformed_response')],
  // It said 200, and nobody waits for the rest.
  ['sends 100 MB', floods(), { error: null, status: 'delivered', attempts: 1 }],
]

const answers: [string, number, Record<string, string>, Fate][] = [
  ['redirects', 302, {}, givenUp('redirect')],
  ['answers 500', 500, {}, givenUp('http_status')],
  ['answers 429', 429, { 'retry-after': '3600' }, givenUp('http_status')],
]

for (const { name, missing, open } of await testStorages()) {
  describe.skipIf(missing)(`among hostile receivers on ${name}`, () => {
    it('the healthy one gets everything, and each of the others what it deserves', async () => {
      const { storage, close } = await open()
      const network = { ...loopback, timeoutMs: deadlines.long }
      const { webhooks, clock } = world({ storage, network, retry: { scheduleMs: [0, minute] } })
      const healthy = await receiver()
      const requests = new Map<string, number>()
      const count = (who: string) => requests.set(who, (requests.get(who) ?? 0) + 1)
      const cases: { who: string; id: string; fate: Fate }[] = []
      const add = async (who: string, url: string, fate: Fate) => {
        const timeoutMs = fate.error === 'timeout' ? deadlines.short : null
        const { id } = await webhooks.endpoints.create(scope, { url, channels: ['all'], timeoutMs })
        cases.push({ who, id, fate })
      }
      await add('refuses', await closedPort(), givenUp('connection_refused'))
      for (const [who, hostile, fate] of raw) {
        const { port } = await rawReceiver((socket) => {
          count(who)
          hostile(socket)
        })
        await add(who, `http://127.0.0.1:${port}/`, fate)
      }
      for (const [who, status, headers, fate] of [
        ...answers,
        ['answers 410', 410, {}, { error: 'gone', status: 'held', attempts: 1 }] as const,
      ]) {
        const target = await receiver((_, __, response) => {
          count(who)
          response.writeHead(status, { location: healthy.url, ...headers }).end()
        })
        await add(who, target.url, fate)
      }
      const { id: healthyId } = await webhooks.endpoints.create(scope, { url: healthy.url })
      await webhooks.publishBatch(Array.from({ length: shared }, () => ({ ...keyCreated, channels: ['all'] })))
      const published = await webhooks.publishBatch(Array.from({ length: own }, () => keyCreated))
      expect(published).toHaveLength(own)

      const of = async (endpointId: string) => (await webhooks.deliveries.list(scope, { endpointId, limit: 250 })).data
      const startedAt = performance.now()
      const worker = webhooks.startWorker({ pollMs: 20 })
      await expect.poll(() => healthy.received.length, { timeout: 20_000, interval: 5 }).toBe(shared + own)
      const healthyMs = Math.round(performance.now() - startedAt)
      const untouched = async () => {
        const all = await Promise.all(cases.map(({ id }) => of(id)))
        return all.flat().filter(({ status, lastError }) => status === 'pending' && lastError === null).length
      }
      await expect.poll(untouched, { timeout: 20_000 }).toBe(0)
      await worker.stop()

      const after = async (dueIn: number, who: string) => {
        const { id } = cases.find((one) => one.who === who) ?? { id: '' }
        return (await of(id)).filter(({ nextAttemptAt }) => nextAttemptAt === clock.now() + dueIn).length
      }
      expect(await after(minute, 'answers 500')).toBe(shared)
      expect(await after(hour, 'answers 429')).toBe(shared)
      const failing = cases.filter(({ fate }) => fate.attempts === 2).length
      clock.advance(minute)
      expect(await webhooks.drain()).toMatchObject({ deadLettered: (failing - 1) * shared, rescheduled: 0 })
      clock.advance(hour - minute)
      expect(await webhooks.drain()).toMatchObject({ deadLettered: shared, rescheduled: 0 })

      for (const { who, id, fate } of cases) {
        const deliveries = await of(id)
        expect([who, deliveries.map(({ status }) => status)]).toEqual([who, Array(shared).fill(fate.status)])
        const logs = await Promise.all(deliveries.map((one) => webhooks.deliveries.attempts(scope, one.id)))
        const errors = logs.flatMap(({ data }) => data.map(({ error }) => error))
        // Once it has said that it is gone, what has not begun is not sent.
        if (fate.error === 'gone') expect(errors.length).toBeLessThanOrEqual(shared)
        else expect([who, errors.length]).toEqual([who, shared * fate.attempts])
        expect([who, new Set(errors)]).toEqual([who, new Set([fate.error])])
        expect([who, requests.get(who) ?? 0]).toEqual([who, who === 'refuses' ? 0 : errors.length])
      }
      const ill = await Promise.all(cases.map(({ id }) => webhooks.endpoints.get(scope, id)))
      expect(ill.filter(({ enabled }) => !enabled).map(({ disabledReason }) => disabledReason)).toEqual(['gone'])
      const arrived = (await of(healthyId)).map(({ status }) => status)
      expect(arrived).toEqual(Array.from({ length: shared + own }, () => 'delivered'))
      expect(new Set(healthy.ids()).size).toBe(shared + own)
      expect(healthy.received).toHaveLength(shared + own)
      const ends = (await Promise.all(cases.map(({ id }) => of(id)))).flat().map(({ status }) => status)
      const tally = [...new Set(ends)].map((end) => `${ends.filter((one) => one === end).length} ${end}`).sort()
      console.info(
        `${name}: ${arrived.length} of ${shared + own} to the healthy one in ${healthyMs} ms; ${tally.join(', ')}`,
      )
      await close()
    }, 60_000)
  })
}
