/** Tries a transaction again when another one won. */
import { setTimeout as delay } from 'node:timers/promises'
import { systemRandom } from '../defaults.js'
import { isContention } from './dialect.js'

/** How often a transaction is tried before its error goes to the caller; the waits add up to about a second. */
const maxAttempts = 10

/** `work` opens and ends its own transaction. Waits for a random part of 2, 4, 8 … 256 ms between tries. */
export async function retryOnContention<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work()
    } catch (error) {
      if (attempt >= maxAttempts || !isContention(error)) throw error
      await delay(systemRandom.number() * Math.min(2 ** attempt, 256))
    }
  }
}
