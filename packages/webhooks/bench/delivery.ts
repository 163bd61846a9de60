/**
 * Durable delivery with the attempt log, against a loop that stores nothing; on PostgreSQL against the queues that a
 * host would otherwise write its own worker with. One worker process each, 100 sends at once, one receiver.
 */
import type { TestDatabase } from '@org/core/testing'
import { type Experiment, resultOf } from '../../core/bench/harness.js'
import { begin } from './child.js'
import { contender, race } from './contender.js'
import { pairs } from './figures.js'
import { openOurs, openWorkers } from './ours.js'
import { concurrency } from './post.js'
import { openReceiver } from './receiving.js'

const rounds = 5

/** The least of what a loop without storage does. */
const floors = { sqlite: 0.6, postgres: 0.5, mariadb: 0.35 }

const queues = [
  { file: 'worker-bullmq.ts', bench: 'bullmq', reference: 'BullMQ worker', floor: 1.5 },
  { file: 'worker-pg-boss.ts', bench: 'pg-boss', reference: 'pg-boss 10, batch fetch', floor: 1.5 },
  { file: 'worker-graphile.ts', bench: 'graphile-worker', reference: 'graphile-worker 0.16', floor: 4 },
]

export function delivery(target: TestDatabase): Experiment {
  const { name } = target
  const bench = `webhooks/deliver-${name}`
  const raw = { file: 'worker-raw.ts', bench, reference: 'loop of signed POSTs, no storage', floor: floors[name] }
  const against = name === 'postgres' ? queues : []
  const others = [raw, ...against.map((queue) => ({ ...queue, bench: `${bench}-vs-${queue.bench}` }))]
  return {
    bench,
    async measure() {
      const { origin, receiver, close } = await openReceiver()
      const database = await openOurs(target, origin)
      const sides = [await openWorkers(database, 1, concurrency)]
      for (const { file } of others) sides.push(await contender(begin(file), origin))
      const [own, ...rates] = await race(sides, receiver, rounds)
      for (const side of sides) await side.close()
      await database.close()
      await close()
      const subject = `worker on ${name}, with its log`
      return others.map((other, index) => resultOf({ ...other, subject }, pairs(own, rates[index])))
    },
  }
}
