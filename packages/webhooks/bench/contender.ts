/** What every worker process answers to, and how several are measured side by side. */
import type { Child } from './child.js'
import { takeTurns } from './figures.js'
import { endpointCount } from './post.js'
import type { Receiver } from './receiver.js'

export type ContenderMethods = {
  open(origin: string): Promise<void>
  /** Makes so many POSTs ready to be sent, the fastest way there is. */
  layOut(count: number): Promise<void>
  start(): Promise<void>
  /** Comes back when nothing is running anymore. */
  stop(): Promise<void>
  close(): Promise<void>
}

/** Somebody who sends. */
export interface Contender {
  layOut(count: number): Promise<void>
  start(): Promise<unknown>
  /** @throws if what it was given is not done. */
  stop(count: number): Promise<void>
  close(): Promise<void>
}

/** How many are sent before those that count, while the worker starts and finds its pace. */
const lead = 1_000
/** How many count in the round that warms up, by which it is told how many take long enough. */
const trial = 3_000
/** How long a round is to last, in seconds: it tends to be less, because nobody is faster in the round that warms up. */
const roundSeconds = 2.5
/** How many are laid out in a round, at the most. */
export const most = 40_000

/** How many each sends per second in each round, as the receiver sees it: `[side][round]`. */
export function race(sides: readonly Contender[], receiver: Child<Receiver>, rounds: number): Promise<number[][]> {
  return takeTurns(
    sides.map((side) => {
      let count = trial
      return async () => {
        const rate = await rateOf(side, receiver, count)
        if (count === trial) count = Math.min(upTo(rate * roundSeconds), most - lead)
        return rate
      }
    }),
    rounds,
  )
}

/** Every endpoint is sent as many. */
function upTo(count: number): number {
  return Math.ceil(count / endpointCount) * endpointCount
}

async function rateOf(side: Contender, receiver: Child<Receiver>, count: number): Promise<number> {
  await side.layOut(lead + count)
  const rate = receiver.call('rate', lead, count)
  const [measured] = await Promise.all([rate, side.start()])
  await side.stop(lead + count)
  const received = await receiver.call('received')
  if (received !== lead + count) throw new Error(`${received} were received, not ${lead + count}.`)
  return measured
}

/** Somebody whose process does everything by itself. */
export async function contender(child: Child<ContenderMethods>, origin: string): Promise<Contender> {
  await child.call('open', origin)
  return {
    layOut: (count) => child.call('layOut', count),
    start: () => child.call('start'),
    stop: () => child.call('stop'),
    async close() {
      await child.call('close')
      await child.end()
    },
  }
}
