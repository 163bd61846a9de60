/** How much a worker holds: what it may claim, while it sends and while it cannot write. */
import { coreErrors } from '@org/core'
import { recordingLogger } from '@org/core/testing'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import type { Attempting, Result } from '../src/delivery/attempt.js'
import type { Job } from '../src/delivery/engine.js'
import { noCounts } from '../src/delivery/finish.js'
import { Pump } from '../src/delivery/pump.js'
import type { Sender } from '../src/delivery/sender.js'

const never = new Promise<never>(() => {})
const done: Attempting = async (job) => ({ job, outcome: { kind: 'delivered' }, attempt: null })

function job(n: number, { endpointId = `ep_${n}`, tenantId = `t_${n}`, size = 10 } = {}): Job {
  const delivery = { id: `del_${n}`, endpointId, tenantId }
  return { delivery, message: { body: 'x'.repeat(size) }, leaseUntil: 1_000 } as unknown as Job
}

const jobs = (count: number, of: Parameters<typeof job>[1] = {}) => Array.from({ length: count }, (_, n) => job(n, of))

function pumpWith(options: { attempting?: Attempting; finish?: (results: readonly Result[]) => Promise<void> } = {}) {
  const { attempting = done, finish = async () => {} } = options
  let away = false
  const pump = new Pump({
    attempting,
    finish: async (results) => {
      await finish(results)
      return noCounts()
    },
    sender: {} as Sender,
    logger: recordingLogger(),
    probe: async () => {
      if (away) throw new Error('away')
    },
    onEnd() {},
    onFinished() {},
    concurrency: 10,
    perEndpoint: 10,
  })
  const goAway = () => {
    away = true
  }
  return { pump, goAway }
}

const settled = () => new Promise((resolve) => setImmediate(resolve))

describe('what a worker holds', () => {
  it('grows with each write up to sixteen times what is sent at once, half of it to be sent', async () => {
    const { pump } = pumpWith()
    const frees = [pump.free]
    for (let n = 0; n < 6; n++) {
      pump.take(jobs(1))
      await settled()
      await pump.results.flush()
      frees.push(pump.free)
    }
    expect(frees).toEqual([10, 10, 20, 40, 80, 80, 80])
    pump.take(Array.from({ length: 80 }, (_, n) => job(n)))
    await settled()
    expect([pump.results.count, pump.free]).toEqual([80, 80])
    pump.take(Array.from({ length: 80 }, (_, n) => job(n)))
    await settled()
    expect([pump.results.count, pump.free]).toEqual([160, 0])
  })

  it('shrinks again while most of it waits long to be sent', async () => {
    let time = 0
    vi.spyOn(performance, 'now').mockImplementation(() => time)
    onTestFinished(() => void vi.restoreAllMocks())
    let turn = Promise.resolve()
    const { pump } = pumpWith({ attempting: (sent, sender) => turn.then(() => done(sent, sender)) })
    /** Ten are sent at once, and after so many milliseconds the twenty others. */
    const freeAfter = async (ms: number) => {
      let open = () => {}
      turn = new Promise((resolve) => {
        open = resolve
      })
      pump.take(jobs(30))
      time += ms
      open()
      await settled()
      await pump.results.flush()
      return pump.free
    }
    for (let n = 0; n < 4; n++) await freeAfter(500)
    expect(await freeAfter(500)).toBe(80)
    expect(await freeAfter(501)).toBe(40)
    expect(await freeAfter(501)).toBe(20)
    expect(await freeAfter(501)).toBe(10)
    expect(await freeAfter(501)).toBe(10)
    expect(await freeAfter(0)).toBe(10)
    expect(await freeAfter(0)).toBe(20)
  })

  it('counts what has ended until it is written', async () => {
    const { pump } = pumpWith()
    pump.take(jobs(10))
    await settled()
    expect([pump.isSending, pump.results.count, pump.free, pump.hasRoom]).toEqual([false, 10, 0, false])
    await pump.results.flush()
    expect([pump.free, pump.isIdle]).toEqual([10, true])
  })

  it('is let go of once, however its writing fails', async () => {
    const written: string[] = []
    const { pump, goAway } = pumpWith({
      async finish(results) {
        if (results.length > 1) throw new Error('not together')
        if (written.length === 1) {
          goAway()
          throw new Error('away')
        }
        written.push(results[0]?.job.delivery.id ?? '')
      },
    })
    pump.take(jobs(15))
    await settled()
    await expect(pump.results.flush()).rejects.toThrow('away')
    // One was written, fourteen wait of the twenty that may be held by now.
    expect([written.length, pump.results.count, pump.free]).toEqual([1, 14, 6])
    pump.results.leave(new Error('refused'))
    expect([pump.results.count, pump.free, pump.isIdle]).toEqual([0, 10, true])
    pump.results.leave(new Error('refused'))
    pump.results.dropExpired(2_000)
    pump.take(jobs(15))
    await settled()
    expect(pump.free).toBe(5)
  })

  it('is written by a second writer while it piles up, which leaves to the first what it cannot write', async () => {
    let broken = false
    const batches: number[] = []
    const { pump } = pumpWith({
      async finish(results) {
        if (broken) throw new Error('broken')
        batches.push(results.length)
      },
    })
    pump.take(jobs(349))
    await settled()
    expect(pump.results.isPilingUp).toBe(false)
    pump.take(jobs(252))
    await settled()
    expect(pump.results.isPilingUp).toBe(true)
    broken = true
    await pump.results.help()
    // The first finds out what it failed at.
    expect([pump.results.count, pump.results.isPilingUp]).toEqual([601, false])
    broken = false
    await pump.results.flush()
    pump.take(jobs(400))
    await settled()
    expect([batches, pump.results.count, pump.results.isPilingUp]).toEqual([[500], 501, true])
    await Promise.all([pump.results.help(), pump.results.flush()])
    expect([batches, pump.isIdle]).toEqual([[500, 500, 1], true])
  })

  it('waits apart for what somebody has locked, and holds it until then', async () => {
    let locked = true
    const { pump } = pumpWith({
      async finish(results) {
        if (locked && results.some(({ job }) => job.delivery.id === 'del_3')) throw coreErrors.busy()
      },
    })
    pump.take(jobs(5))
    await settled()
    await pump.results.flush()
    expect([pump.results.count, pump.results.locked, pump.isLocked, pump.isIdle]).toEqual([0, 1, true, false])
    pump.take([job(7)])
    await settled()
    await pump.results.flush()
    locked = false
    pump.results.tryLocked()
    expect([pump.results.count, pump.isLocked]).toEqual([1, false])
    await pump.results.flush()
    expect([pump.isIdle, pump.free]).toEqual([true, 20])
  })

  it('is bounded by the size of payloads, for all and for each tenant', () => {
    const { pump } = pumpWith({ attempting: () => never })
    const large = { tenantId: 'large', size: 4 * 1024 * 1024 }
    pump.take(jobs(4, { ...large, endpointId: 'ep_large' }))
    expect(pump.freeOfTenant('large')).toBe(0)
    expect(pump.freeOfTenant('small')).toBeGreaterThan(0)
    expect(pump.free).toBe(4)
    pump.take(jobs(4, { ...large, tenantId: 'other' }))
    expect([pump.free, pump.hasRoom]).toEqual([0, false])
  })
})

describe('a tenant', () => {
  it('at its share is claimed of again when half of it is free, not for each that ends', async () => {
    const ends: (() => void)[] = []
    const attempting: Attempting = (sent) =>
      new Promise((resolve) => ends.push(() => resolve({ job: sent, outcome: { kind: 'delivered' }, attempt: null })))
    const { pump } = pumpWith({ attempting })
    pump.take(jobs(20, { tenantId: 'one' }))
    expect([ends.length, pump.freeOfTenant('one'), pump.freeOfTenant('another')]).toEqual([10, 0, 20])
    const frees: number[] = []
    for (let n = 0; n < 12; n++) {
      ends[n]?.()
      await settled()
      frees.push(pump.freeOfTenant('one'))
    }
    // Nothing until ten are free: the places are all taken by what waits.
    expect(frees).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 0, 10, 11, 12])
  })
})
