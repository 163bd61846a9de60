/** Whether an endpoint that hangs, with a backlog of its own, holds up one that is well. */
import type { TestDatabase } from '@org/core/testing'
import { type Experiment, median, resultOf } from '../../core/bench/harness.js'
import { openDatabase } from './database.js'
import { pairs, percentile, takeTurns } from './figures.js'
import { closeWorker, openWorker } from './ours.js'
import { openReceiver } from './receiving.js'
import { clear, layOutDue, seed } from './rows.js'

/** The deadline of an exchange, which the one that hangs uses up. */
const timeoutMs = 2_000
const waiting = 2_000
/** What the healthy one is sent, and for how many seconds: longer than two deadlines. */
const perSecond = 100
const seconds = 5
const rounds = 3

export function neighbor(target: TestDatabase): Experiment {
  const bench = `webhooks/hung-neighbor-${target.name}`
  return {
    bench,
    async measure() {
      const { origin, receiver, close } = await openReceiver()
      const database = await openDatabase(target, timeoutMs)
      await seed(database, [`${origin}/time`, `${origin}/hang`], waiting)
      const worker = await openWorker(database)
      const all: [number[], number[]] = [[], []]

      async function p99(hung: boolean): Promise<number> {
        await clear(database)
        if (hung) await layOutDue(database, waiting, ['tenant_1'])
        await receiver.call('forget')
        await worker.call('start', {})
        await worker.call('trickle', 'tenant_0', perSecond, seconds)
        const delays = await receiver.call('delays', perSecond * seconds)
        await worker.call('stop', 0)
        const delay = percentile(delays, 0.99)
        all[hung ? 0 : 1].push(delay)
        return 1000 / delay
      }

      const [own, other] = await takeTurns([() => p99(true), () => p99(false)], rounds)
      await closeWorker(worker)
      await database.close()
      await close()
      const ms = ([delays]: number[][]) => Number(median(delays ?? []).toPrecision(3))
      return [
        resultOf(
          { bench, subject: '1 / p99 beside an endpoint that hangs', reference: '1 / p99 alone', floor: 0.5 },
          pairs(own, other),
        ),
        {
          bench: `${bench}-p99`,
          subject: `publish to receipt of a healthy endpoint, ${perSecond} events per second`,
          figures: { 'alone ms': ms([all[1]]), 'beside one that hangs ms': ms([all[0]]) },
        },
      ]
    },
  }
}
