import { describe, expect, it } from 'vitest'
import { codeOf, deliveriesOf, jobsWorld, seed, tally, url } from './jobs-world.js'
import { receiver } from './receiver.js'
import { testStorages } from './storages.js'
import { scope } from './world.js'

for (const { name, missing, open } of await testStorages()) {
  describe.skipIf(missing)(`jobs on ${name}`, () => {
    it('recover what failed of an endpoint, part by part', async () => {
      const { storage, close } = await open()
      const { webhooks, clock, worker, told } = jobsWorld(storage)
      const { id: endpointId } = await webhooks.endpoints.create(scope, { url })
      const { id: other } = await webhooks.endpoints.create(scope, { url })
      const since = clock.now()
      await seed(storage, 10, { endpointId, createdAt: since - 1 })
      await seed(storage, 1190, { endpointId, createdAt: since, lost: 9 }, {}, 100)
      await seed(storage, 10, { endpointId, createdAt: since + 5, status: 'held' }, {}, 2000)
      for (const [n, status] of (['delivered', 'canceled', 'discarded', 'pending'] as const).entries()) {
        await seed(storage, 5, { endpointId, createdAt: since, status }, {}, 3000 + n * 10)
      }
      await seed(storage, 10, { endpointId: other, createdAt: since }, {}, 4000)
      clock.advance(10)

      const asked = await webhooks.recover(scope, { endpointId, since })
      const about = { kind: 'recover', endpointId, params: { since, until: null, eventTypes: null }, total: 1200 }
      const none = { processed: 0, affected: 0, skipped: 0, error: null }
      const { id } = asked
      expect(asked).toEqual({
        id: expect.stringMatching(/^job_/),
        status: 'running',
        ...about,
        ...none,
        createdAt: clock.now(),
        updatedAt: clock.now(),
        endedAt: null,
      })
      await seed(storage, 5, { endpointId, createdAt: clock.now() }, {}, 5000) // after the end
      const runner = worker()
      for (const processed of [500, 1000]) {
        clock.advance(1)
        expect(await runner.goOn()).toBe(true)
        const half = { status: 'running', processed, affected: processed, endedAt: null, updatedAt: clock.now() }
        expect(await webhooks.jobs.get(scope, id)).toEqual({ ...asked, ...half })
      }
      expect(await runner.goOn()).toBe(true)
      const counts = { processed: 1200, affected: 1200, skipped: 0 }
      const done = { ...asked, status: 'done', ...counts, endedAt: clock.now(), updatedAt: clock.now() }
      expect(await webhooks.jobs.get(scope, id)).toEqual(done)
      expect(await runner.goOn()).toBe(false)

      const rows = await deliveriesOf(storage, endpointId)
      const again = rows.filter(({ status, step, lost }) => status === 'pending' && step === 0 && lost === 0)
      expect(again.length).toBe(1200)
      expect(again.every((row) => row.createdAt >= since && row.endedAt === null && row.dueAt > since)).toBe(true)
      expect(tally(rows.map(({ status }) => status))).toEqual(
        new Map(Object.entries({ dead_letter: 15, pending: 1205, delivered: 5, canceled: 5, discarded: 5 })),
      )
      expect((await deliveriesOf(storage, other)).every(({ status }) => status === 'dead_letter')).toBe(true)
      expect(told()).toEqual([
        ['job.started', 'user', { jobId: id, kind: 'recover', endpointId, ...none }],
        ['job.completed', 'system', { jobId: id, kind: 'recover', endpointId, ...counts, error: null }],
      ])
      await close()
    })

    it('take only what was asked for: by time and by type', async () => {
      const { storage, close } = await open()
      const { webhooks, worker } = jobsWorld(storage)
      const { id: endpointId } = await webhooks.endpoints.create(scope, { url })
      const { id: gone } = await webhooks.endpoints.create(scope, { url })
      const { id: off } = await webhooks.endpoints.create(scope, { url })
      for (const createdAt of [10, 20, 30]) {
        await seed(storage, 2, { endpointId, createdAt, eventType: 'key.created' }, {}, createdAt * 10)
        await seed(storage, 2, { endpointId, createdAt, eventType: 'request.failed' }, {}, createdAt * 10 + 5)
      }
      await seed(storage, 1, { endpointId, createdAt: 20 }, { body: null }, 900)
      await seed(storage, 3, { endpointId: gone, createdAt: 20 }, {}, 1000)
      await seed(storage, 600, { endpointId: off, createdAt: 20 }, {}, 2000)
      await webhooks.endpoints.delete(scope, gone)
      await webhooks.endpoints.disable(scope, off)
      const run = async (asked: Promise<{ id: string }>) => {
        const { id } = await asked
        while (await worker().goOn()) {}
        const { total, processed, affected, skipped } = await webhooks.jobs.get(scope, id)
        return [total, processed, affected, skipped]
      }
      // Half open: 20 counts in, 30 does not. What was expunged is asked for and left out.
      expect(await run(webhooks.recover(scope, { endpointId, since: 20, until: 30, eventTypes: ['key.*'] }))).toEqual([
        5, 5, 2, 1,
      ])
      expect(await run(webhooks.deadLetters.redriveAll(scope, { eventType: 'request.failed', until: 11 }))).toEqual([
        4, 4, 2, 0,
      ])
      expect(await run(webhooks.deadLetters.redriveAll(scope, { endpointId, since: 30 }))).toEqual([4, 4, 4, 0])
      // Those of the deleted and of the disabled endpoint stay, and so does the expunged one.
      expect(await run(webhooks.deadLetters.redriveAll(scope))).toEqual([608, 608, 4, 604])
      const left = await Promise.all([off, gone, endpointId].map((one) => deliveriesOf(storage, one)))
      const dead = left.map((rows) => rows.filter(({ status }) => status === 'dead_letter').length)
      expect(dead).toEqual([600, 3, 1])
      await close()
    })

    it("are the tenant's own, and list the newest first", async () => {
      const { storage, close } = await open()
      const { webhooks, worker } = jobsWorld(storage)
      const { id: endpointId } = await webhooks.endpoints.create(scope, { url })
      await seed(storage, 3, { endpointId })
      const other = { tenantId: 't2' }
      const request = { endpointId, since: 0 }
      const calls = [
        webhooks.recover(other, request),
        webhooks.replay(other, request),
        webhooks.deadLetters.redriveAll(other, { endpointId }),
      ]
      expect(await Promise.all(calls.map(codeOf))).toEqual(['not_found', 'not_found', 'not_found'])
      const theirs = await webhooks.deadLetters.redriveAll(other)
      expect(theirs.total).toBe(0)
      while (await worker().goOn()) {}
      expect(await webhooks.jobs.get(other, theirs.id)).toMatchObject({ status: 'done', affected: 0 })
      const first = await webhooks.recover(scope, request)
      const second = await webhooks.deadLetters.redriveAll(scope)
      for (const call of [webhooks.jobs.get, webhooks.jobs.cancel])
        expect(await codeOf(call(other, first.id))).toBe('not_found')
      const { data, next } = await webhooks.jobs.list(scope, { limit: 1 })
      expect(data).toEqual([second])
      expect(await webhooks.jobs.list(scope, { limit: 1, cursor: next ?? '' })).toEqual({ data: [first], next: null })
      expect((await webhooks.jobs.list(scope, { endpointId })).data).toEqual([first])
      await webhooks.jobs.cancel(scope, first.id)
      expect((await webhooks.jobs.list(scope, { status: 'running' })).data).toEqual([second])
      await close()
    })

    it("run if and only if the host's transaction commits, and are done by a drain", async () => {
      const { storage, transaction, close } = await open()
      const { webhooks, worker, fault } = jobsWorld(storage)
      const target = await receiver()
      const { id: endpointId } = await webhooks.endpoints.create(scope, { url: target.url })
      await seed(storage, 3, { endpointId })
      const rolledBack = transaction(async (tx) => {
        const { id } = await webhooks.recover({ ...scope, tx }, { endpointId, since: 0 })
        expect((await webhooks.jobs.get({ ...scope, tx }, id)).total).toBe(3)
        throw new Error('no')
      })
      await expect(rolledBack).rejects.toThrow('no')
      expect(await worker().goOn()).toBe(false)
      expect((await webhooks.jobs.list(scope)).data).toEqual([])
      expect(fault.after).toBe(null)
      const { id } = await transaction((tx) => webhooks.recover({ ...scope, tx }, { endpointId, since: 0 }))
      expect(await webhooks.drain()).toMatchObject({ delivered: 3 })
      expect(await webhooks.jobs.get(scope, id)).toMatchObject({ status: 'done', affected: 3 })
      expect(target.ids().sort()).toEqual(['msg_00000', 'msg_00001', 'msg_00002'])
      await close()
    })

    it('refuse what is no request', async () => {
      const { storage, close } = await open()
      const { webhooks } = jobsWorld(storage)
      const { id: endpointId } = await webhooks.endpoints.create(scope, { url })
      const wrong = [
        { endpointId },
        { endpointId, since: 1.5 },
        { endpointId, since: 5, until: 5 },
        { endpointId, since: 0, eventTypes: [] },
        { endpointId, since: 0, eventTypes: ['nope'] },
        { endpointId, since: 0, from: 1 },
      ] as never[]
      for (const request of wrong) {
        expect(await codeOf(webhooks.recover(scope, request))).toBe('invalid_input')
        expect(await codeOf(webhooks.replay(scope, request))).toBe('invalid_input')
      }
      for (const request of [{ since: 2, until: 1 }, { eventType: 'a b' }, { status: 'held' } as never]) {
        expect(await codeOf(webhooks.deadLetters.redriveAll(scope, request))).toBe('invalid_input')
      }
      expect(await codeOf(webhooks.jobs.list(scope, { status: 'lost' } as never))).toBe('invalid_input')
      await close()
    })
  })
}
