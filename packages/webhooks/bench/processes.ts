/** What further worker processes add. */
import { availableParallelism } from 'node:os'
import type { TestDatabase } from '@org/core/testing'
import { type Experiment, median, type Result, resultOf, type Shown } from '../../core/bench/harness.js'
import { type Contender, race } from './contender.js'
import { pairs } from './figures.js'
import { openOurs, openWorkers } from './ours.js'
import { concurrency } from './post.js'
import { openReceiver } from './receiving.js'

const rounds = 3
/** With a receiver that takes its time this leaves room on two cores for two processes, the database and the receiver. */
const slowConcurrency = 40

/** Every number of processes takes its turn on the same database. */
async function measureWorkers(target: TestDatabase, path: string, counts: readonly number[], sends: number) {
  const { origin, receiver, close } = await openReceiver()
  const database = await openOurs(target, origin + path)
  const sides: Contender[] = []
  for (const count of counts) sides.push(await openWorkers(database, count, sends))
  const rates = await race(sides, receiver, rounds)
  for (const side of sides) await side.close()
  await database.close()
  await close()
  return rates
}

export function processes(target: TestDatabase): Experiment {
  const bench = `webhooks/processes-${target.name}`
  return {
    bench,
    measure: async () => [await slow(target, bench), await fast(target, bench)],
  }
}

async function slow(target: TestDatabase, bench: string): Promise<Result> {
  const [one, two] = await measureWorkers(target, '/wait/50', [1, 2], slowConcurrency)
  const subject = `two worker processes, a receiver that takes 50 ms, ${slowConcurrency} sends at once each`
  return resultOf({ bench, subject, reference: 'one worker process', floor: 1.8 }, pairs(two, one))
}

async function fast(target: TestDatabase, bench: string): Promise<Shown> {
  const rates = await measureWorkers(target, '', [1, 2, 4], concurrency)
  const [one, two, four] = rates.map((rate) => Math.round(median(rate)))
  return {
    bench: `${bench}-fast`,
    subject: 'worker processes, and a fast receiver on the same cores',
    figures: {
      '1 process /s': one ?? 0,
      '2 processes /s': two ?? 0,
      '4 processes /s': four ?? 0,
      cores: availableParallelism(),
    },
  }
}
