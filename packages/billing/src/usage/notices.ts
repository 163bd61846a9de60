/** When `alert.triggered` and `quota.exceeded` are due. Pure: the counter remembers what was said. */
import type { MeterTerms } from '../catalog/schema.js'
import type { Counter } from './schema.js'

export interface Notices {
  /** Thresholds reached, lowest first. */
  thresholds: number[]
  exceeded: boolean
  marks: Pick<Counter, 'markedLimit' | 'alerted' | 'exceeded'>
}

/**
 * What must be said about a counter: each threshold once, and once that the quota is used up. Once means once for each
 * window and limit: after a change of plan the thresholds are those of the new limit. `refused` is a demand that did
 * not fit, which uses the quota up whatever was left of it. Null if there is nothing to say.
 */
export function noticesDue(
  counter: Counter,
  terms: MeterTerms,
  limit: number | null,
  refused: boolean,
): Notices | null {
  if (limit === null) return null
  const same = counter.markedLimit === limit
  const said = same ? { alerted: counter.alerted, exceeded: counter.exceeded } : { alerted: 0, exceeded: false }
  const thresholds =
    limit === 0 ? [] : terms.alerts.filter((t) => t > said.alerted && counter.used >= unitsAt(t, limit))
  // Where nothing is included and everything is billed, no quota is there to be used up.
  const usedUp = refused || (counter.used >= limit && limit > 0)
  const exceeded = usedUp && !said.exceeded
  if (thresholds.length === 0 && !exceeded) return null
  const marks = {
    markedLimit: limit,
    alerted: thresholds.at(-1) ?? said.alerted,
    exceeded: said.exceeded || exceeded,
  }
  return { thresholds, exceeded, marks }
}

/** Rounded up, without what binary fractions add: 0.07 of 100 is 7, not 8. */
function unitsAt(threshold: number, limit: number): number {
  return Math.ceil(Number((threshold * limit).toFixed(6)))
}
