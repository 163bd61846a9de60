/** How long an event takes from `publish` to its receipt when there is nothing else to do. */
import type { TestDatabase } from '@org/core/testing'
import type { Experiment, Shown } from '../../core/bench/harness.js'
import type { Child } from './child.js'
import { type BenchDatabase, openDatabase } from './database.js'
import { pause, percentile } from './figures.js'
import { closeWorker, openWorker } from './ours.js'
import { openReceiver } from './receiving.js'
import type { OurWorker } from './worker-ours.js'

const events = 200
/** Between two events, in milliseconds, of which each database has its turn: workers go idle in between. */
const gap = 70

interface Setting {
  bench: string
  subject: string
  database: BenchDatabase
  publisher: Child<OurWorker>
  /** The same process, or another. */
  worker: Child<OurWorker>
}

async function open(target: TestDatabase, others: boolean, url: string): Promise<Setting> {
  const database = await openDatabase(target)
  await database.webhooks.endpoints.create({ tenantId: 'acme' }, { url })
  const publisher = await openWorker(database)
  const worker = others ? await openWorker(database) : publisher
  await worker.call('start', {})
  const where = others ? 'another process' : 'the same process'
  const bench = `webhooks/idle-${target.name}${others ? '-other-process' : ''}`
  return { bench, subject: `publish to receipt, an idle worker in ${where}`, database, publisher, worker }
}

export function idle(targets: readonly TestDatabase[]): Experiment {
  return {
    bench: 'webhooks/idle',
    async measure() {
      const { origin, receiver, close } = await openReceiver()
      const settings: Setting[] = []
      for (const target of targets) {
        if (target.name === 'mariadb') continue
        settings.push(await open(target, false, `${origin}/time`))
        if (target.name === 'postgres') settings.push(await open(target, true, `${origin}/time`))
      }
      const delays = await takeTurns(settings, async ({ publisher }) => {
        await receiver.call('forget')
        await publisher.call('publish', 'acme')
        const [delay] = await receiver.call('delays', 1)
        return delay ?? Number.NaN
      })
      for (const { worker, publisher, database } of settings) {
        await worker.call('stop')
        if (worker !== publisher) await closeWorker(worker)
        await closeWorker(publisher)
        await database.close()
      }
      await close()
      return settings.map((setting, n) => shown(setting, delays[n] ?? []))
    },
  }
}

/** Each setting in turn, so that it is idle while the others have theirs. The first rounds warm up. */
async function takeTurns(settings: Setting[], measure: (setting: Setting) => Promise<number>): Promise<number[][]> {
  const delays: number[][] = settings.map(() => [])
  for (let n = -20; n < events; n++) {
    for (const [index, setting] of settings.entries()) {
      await pause(gap * (0.5 + Math.random()))
      const delay = await measure(setting)
      if (n >= 0) delays[index]?.push(delay)
    }
  }
  return delays
}

function shown({ bench, subject }: Setting, delays: number[]): Shown {
  const at = (share: number) => Number(percentile(delays, share).toPrecision(3))
  return { bench, subject, figures: { 'p50 ms': at(0.5), 'p99 ms': at(0.99) } }
}
