/** Whether a million deliveries that are to be made later slow down those that are due. */
import type { TestDatabase } from '@org/core/testing'
import { type Experiment, resultOf } from '../../core/bench/harness.js'
import { type BenchDatabase, openDatabase } from './database.js'
import { pairs, takeTurns } from './figures.js'
import { closeWorker, openWorker } from './ours.js'
import { concurrency } from './post.js'
import { openReceiver, type Receiving } from './receiving.js'
import { checkDelivered, clearDue, layOutDue, layOutLater, seed, settle } from './rows.js'

const endpoints = 200
const due = 10_000
const later = 1_000_000
/** How many of those that are due come before those that count. */
const lead = 1_000
const rounds = 5

interface Side {
  rate(): Promise<number>
  close(): Promise<void>
}

export function backlog(target: TestDatabase): Experiment {
  const bench = `webhooks/backlog-${target.name}`
  return {
    bench,
    async measure() {
      const receiving = await openReceiver()
      const full = await open(target, receiving, later)
      const alone = await open(target, receiving, 0)
      const [own, other] = await takeTurns([full.rate, alone.rate], rounds)
      for (const { close } of [full, alone]) await close()
      await receiving.close()
      const subject = '10,000 due, and 1,000,000 later'
      return [resultOf({ bench, subject, reference: '10,000 due alone', floor: 0.9 }, pairs(own, other))]
    },
  }
}

async function open(target: TestDatabase, { origin, receiver }: Receiving, waiting: number): Promise<Side> {
  const database: BenchDatabase = await openDatabase(target)
  const urls = Array.from({ length: endpoints }, (_, n) => `${origin}/${n}`)
  await seed(database, urls, Math.max(due, waiting) / endpoints)
  await layOutLater(database, waiting / endpoints)
  await settle(database)
  if (target.name === 'sqlite') await database.knex.raw('analyze')
  const worker = await openWorker(database)
  return {
    async rate() {
      await clearDue(database)
      await layOutDue(database, due / endpoints)
      const rate = receiver.call('rate', lead, due - lead)
      const [measured] = await Promise.all([rate, worker.call('start', { concurrency })])
      await worker.call('stop')
      await checkDelivered(database, due)
      return measured
    },
    async close() {
      await closeWorker(worker)
      await database.close()
    },
  }
}
