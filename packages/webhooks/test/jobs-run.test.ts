import { describe, expect, it } from 'vitest'
import { codeOf, deliveriesOf, jobsWorld, seed, seedMessages, tally, url } from './jobs-world.js'
import { testStorages } from './storages.js'
import { scope } from './world.js'

for (const { name, missing, open } of await testStorages()) {
  describe.skipIf(missing)(`running jobs on ${name}`, () => {
    it('repeat nothing and leave nothing out when a turn fails or a worker is lost', async () => {
      const { storage: opened, close } = await open()
      const { webhooks, clock, worker, fault, storage } = jobsWorld(opened)
      const { id: endpointId } = await webhooks.endpoints.create(scope, { url })
      const messages = seedMessages(1200, { createdAt: 5 }) // all at once: the ids alone tell them apart
      await opened.run((stores) => stores.messages.insert(messages))
      const { id } = await webhooks.replay(scope, { endpointId, since: 5 })
      const runner = worker()
      await runner.goOn()

      const failures = [false, true]
      fault.after = () => {
        if (failures.shift()) throw new Error('the power went')
      }
      await expect(runner.goOn()).rejects.toThrow('the power went')
      expect(failures).toEqual([])
      expect((await deliveriesOf(storage, endpointId)).length).toBe(500)
      expect(await webhooks.jobs.get(scope, id)).toMatchObject({ status: 'running', processed: 500, affected: 500 })

      // It rests until its lease ends; others go on.
      clock.advance(29_999)
      expect(await runner.goOn()).toBe(false)
      const another = await webhooks.deadLetters.redriveAll(scope)
      expect(await runner.goOn()).toBe(true)
      expect((await webhooks.jobs.get(scope, another.id)).status).toBe('done')
      clock.advance(1)

      // A worker that is lost between its two transactions has leased it and done nothing.
      const lease = { now: clock.now(), token: 'lost', leaseUntil: clock.now() + 1000 }
      const lost = await storage.run(({ jobs }) => jobs.claim(lease))
      expect(lost?.id).toBe(id)
      expect(await worker().goOn()).toBe(false)
      clock.advance(1000)
      while (await worker().goOn()) {}
      expect(await webhooks.jobs.get(scope, id)).toMatchObject({
        status: 'done',
        processed: 1200,
        affected: 1200,
        skipped: 0,
      })
      const reached = (await deliveriesOf(storage, endpointId)).map(({ messageId }) => messageId)
      expect(reached.sort()).toEqual(messages.map((message) => message.id))
      await close()
    })

    it('do each row once when two workers are at them, and two jobs', async () => {
      const { storage, second, close } = await open()
      const { webhooks, worker } = jobsWorld(storage)
      const { id: endpointId } = await webhooks.endpoints.create(scope, { url })
      await storage.run((stores) => stores.messages.insert(seedMessages(1200)))
      const asked = [
        await webhooks.replay(scope, { endpointId, since: 0 }),
        await webhooks.replay(scope, { endpointId, since: 0 }),
      ]
      const all = async (runner: ReturnType<typeof worker>) => {
        for (let idle = 0; idle < 3; ) idle = (await runner.goOn()) ? 0 : idle + 1
      }
      await Promise.all([all(worker(storage)), all(worker(second()))])
      await all(worker(storage))
      const rows = await deliveriesOf(storage, endpointId)
      expect([rows.length, new Set(rows.map(({ messageId }) => messageId)).size]).toEqual([1200, 1200])
      const jobs = await Promise.all(asked.map(({ id }) => webhooks.jobs.get(scope, id)))
      expect(jobs.map(({ status, processed }) => [status, processed])).toEqual([['done', 1200], ['done', 1200]]) // biome-ignore format: pairs
      expect(jobs.reduce((sum, { affected }) => sum + affected, 0)).toBe(1200)
      expect(jobs.reduce((sum, { skipped }) => sum + skipped, 0)).toBe(1200)
      await close()
    })

    it('take turns, and one that was taken over changes nothing', async () => {
      const { storage, close } = await open()
      const { webhooks, clock, worker } = jobsWorld(storage)
      const ids: string[] = []
      for (const n of [0, 1]) {
        const { id: endpointId } = await webhooks.endpoints.create(scope, { url })
        await seed(storage, 1100, { endpointId }, {}, n * 5000)
        ids.push((await webhooks.recover(scope, { endpointId, since: 0 })).id)
      }
      const counts = () => Promise.all(ids.map(async (id) => (await webhooks.jobs.get(scope, id)).processed))
      const runner = worker()
      const seen: number[][] = []
      for (let turn = 0; turn < 6; turn++) {
        await runner.goOn()
        seen.push(await counts())
      }
      expect(seen).toEqual([[500, 0], [500, 500], [1000, 500], [1000, 1000], [1100, 1000], [1100, 1100]]) // biome-ignore format: pairs

      const { id: endpointId } = await webhooks.endpoints.create(scope, { url })
      await seed(storage, 3, { endpointId }, {}, 20_000)
      const { id } = await webhooks.recover(scope, { endpointId, since: 0 })
      // Takes it over between the two transactions of a turn.
      const slow = worker({
        ...storage,
        run: async (work, ...rest) => {
          const answer = await storage.run(work, ...rest)
          const now = clock.now() + 30_000
          await storage.run(({ jobs }) => jobs.claim({ now, token: 'other', leaseUntil: now + 1 }))
          return answer
        },
      })
      expect(await slow.goOn()).toBe(true)
      expect(await webhooks.jobs.get(scope, id)).toMatchObject({ status: 'running', processed: 0 })
      expect((await deliveriesOf(storage, endpointId)).every(({ status }) => status === 'dead_letter')).toBe(true)
      await close()
    })

    it('are canceled in between', async () => {
      const { storage, close } = await open()
      const { webhooks, worker, told } = jobsWorld(storage)
      const { id: endpointId } = await webhooks.endpoints.create(scope, { url })
      await seed(storage, 600, { endpointId })
      const { id } = await webhooks.recover(scope, { endpointId, since: 0 })
      await worker().goOn()
      const canceled = await webhooks.jobs.cancel(scope, id)
      expect(canceled).toMatchObject({ status: 'canceled', processed: 500, endedAt: expect.any(Number) })
      expect(await worker().goOn()).toBe(false)
      expect(await webhooks.jobs.get(scope, id)).toEqual(canceled)
      expect((await deliveriesOf(storage, endpointId)).filter(({ status }) => status === 'pending').length).toBe(500)
      expect(await codeOf(webhooks.jobs.cancel(scope, id))).toBe('job_ended')
      expect(told().at(-1)).toMatchObject(['job.canceled', 'user', { jobId: id, processed: 500 }])

      // Between the two transactions of a turn.
      const { id: next } = await webhooks.recover(scope, { endpointId, since: 0 })
      const cancel = { on: true }
      const late = worker({
        ...storage,
        run: async (work, ...rest) => {
          const answer = await storage.run(work, ...rest)
          if (cancel.on) await webhooks.jobs.cancel(scope, next)
          cancel.on = false
          return answer
        },
      })
      await late.goOn()
      expect(await webhooks.jobs.get(scope, next)).toMatchObject({ status: 'canceled', processed: 0 })
      await close()
    })

    it('end with their endpoint, and hold for one that was disabled', async () => {
      const { storage, close } = await open()
      const { webhooks, worker, told } = jobsWorld(storage)
      const { id: endpointId } = await webhooks.endpoints.create(scope, { url })
      await seed(storage, 600, { endpointId })
      const { id } = await webhooks.recover(scope, { endpointId, since: 0 })
      const redrive = await webhooks.deadLetters.redriveAll(scope, { endpointId })
      await webhooks.endpoints.disable(scope, endpointId)
      const request = { endpointId, since: 0 }
      const refused = [webhooks.recover(scope, request), webhooks.replay(scope, request)]
      refused.push(webhooks.deadLetters.redriveAll(scope, { endpointId }))
      expect(await Promise.all(refused.map(codeOf))).toEqual(Array(3).fill('endpoint_disabled'))
      await worker().goOn()
      await worker().goOn()
      expect(await webhooks.jobs.get(scope, redrive.id)).toMatchObject({ processed: 100, affected: 0, skipped: 100 })
      await webhooks.endpoints.enable(scope, endpointId)
      const statuses = async () => tally((await deliveriesOf(storage, endpointId)).map(({ status }) => status))
      expect(await statuses()).toEqual(new Map([['pending', 500], ['dead_letter', 100]])) // biome-ignore format: pairs
      await webhooks.endpoints.delete(scope, endpointId)
      await worker().goOn()
      const failed = { status: 'failed', error: 'endpoint_deleted', processed: 500, endedAt: expect.any(Number) }
      expect(await webhooks.jobs.get(scope, id)).toMatchObject(failed)
      expect(told().at(-1)).toMatchObject(['job.failed', 'system', { jobId: id, error: 'endpoint_deleted' }])
      expect(await statuses()).toEqual(new Map([['canceled', 500], ['dead_letter', 100]])) // biome-ignore format: pairs
      expect(await worker().goOn()).toBe(false)
      await close()
    })
  })
}
