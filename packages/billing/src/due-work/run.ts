/** `runDueWork`: what time alone brings about. Call it every minute or so, from as many processes as you like. */
import { parse } from '@org/core'
import { Instant } from '../arithmetic/instant.js'
import type { Deps } from '../deps.js'
import { collect } from '../payments/collect.js'
import { catchUp } from './renew.js'

/** How much one call did. */
export interface DueWork {
  /** Periods begun; more than one for a subscription that waited through a downtime. */
  renewed: number
  /** Scheduled changes of plan that came into force. */
  changed: number
  /** Subscriptions that ended. */
  canceled: number
  /** Payments of a crashed process, or of a provider that gave no answer, that now have one. */
  settled: number
  /** Payments that were declined. */
  declined: number
  /** Subscriptions and payments that could not be dealt with; the log says why, and the next call tries again. */
  failed: number
}

/** A payment that has had no answer for so long, in milliseconds, was cut off. */
const paymentTimeout = 60 * 1000

const pageSize = 100

/**
 * Sees to payments that were cut off, then bills every period that has ended by `now`. Each step commits by itself: a
 * call that is killed is carried on by the next one. Two calls at once share the work and bill nothing twice.
 */
export async function runDueWork(deps: Deps, now: Instant = deps.runtime.clock.now()): Promise<DueWork> {
  const at = parse(Instant, now, '/now')
  const work: DueWork = { renewed: 0, changed: 0, canceled: 0, settled: 0, declined: 0, failed: 0 }
  await settlePending(deps, at, work)
  await renewDue(deps, at, work)
  return work
}

async function settlePending(deps: Deps, now: number, work: DueWork): Promise<void> {
  const page = (after: [string] | null) =>
    deps.storage.read((stores) => stores.payments.pending(now - paymentTimeout, { limit: pageSize, after }))
  for (let rows = await page(null); rows.length > 0; rows = await page([rows.at(-1)?.id ?? ''])) {
    for (const payment of rows) {
      await attempt(deps, work, { payment: payment.id }, async () => {
        if ((await collect(deps, { tenantId: payment.tenantId }, payment)) !== null) work.declined++
        work.settled++
      })
    }
  }
}

async function renewDue(deps: Deps, now: number, work: DueWork): Promise<void> {
  const page = (after: [number, string] | null) =>
    deps.storage.read((stores) => stores.subscriptions.due(now, { limit: pageSize, after }))
  for (let rows = await page(null), last = rows.at(-1); last; last = rows.at(-1)) {
    for (const { id, tenantId } of rows) {
      await attempt(deps, work, { subscription: id }, async () => {
        const { renewed, changed, canceled, declined } = await catchUp(deps, { tenantId }, id, now)
        work.renewed += renewed
        work.changed += changed
        work.canceled += canceled
        work.declined += declined
      })
    }
    rows = await page([last.currentPeriodEnd, last.id])
  }
}

/** One that fails does not keep the others waiting. */
async function attempt(deps: Deps, work: DueWork, what: Record<string, string>, step: () => Promise<void>) {
  try {
    await step()
  } catch (error) {
    work.failed++
    deps.runtime.logger.error('due work failed', { ...what, error })
  }
}
