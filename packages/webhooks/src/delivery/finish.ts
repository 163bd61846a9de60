/** Writes what became of many deliveries in one transaction. */
import { systemActor, type Tx } from '@org/core'
import type { StoredDelivery } from '../deliveries/schema.js'
import type { Delivered } from '../deliveries/store.js'
import type { Deps } from '../deps.js'
import { settleDisabled } from '../endpoints/settle-disabled.js'
import { settleHealth } from '../endpoints/settle-health.js'
import { statsOf } from '../stats/tally.js'
import type { WebhooksStores } from '../storage/port.js'
import type { Outcome, Result } from './attempt.js'

/** What was finished, by what became of it; `fenced` are those whose lease somebody else had taken over. */
export type FinishCounts = Record<Outcome['kind'] | 'fenced', number>

export function noCounts(): FinishCounts {
  return { delivered: 0, retry: 0, dead_letter: 0, held: 0, canceled: 0, released: 0, fenced: 0 }
}

/**
 * Writes results in one transaction, all or none.
 *
 * @throws ProblemError `busy` if somebody has locked a row of theirs for so many milliseconds.
 */
export type Finish = (results: readonly Result[], lockTimeoutMs: number) => Promise<FinishCounts>

export function createFinish(deps: Pick<Deps, 'storage' | 'runtime' | 'emit' | 'onEndpointDisabled'>): Finish {
  const { storage, runtime, emit, onEndpointDisabled } = deps
  return async (results, lockTimeoutMs) => {
    const { counts, newlyDisabled } = await storage.run(
      async (stores, tx) => {
        const counts = noCounts()
        const now = runtime.clock.now()
        // Endpoints are locked before their health, and that before deliveries, as everywhere.
        const settled = await settleDisabled(deps, stores, results, now, tx)
        await settleHealth(stores, results, now)
        const simple = results.filter(isSimple)
        const delivered = await stores.deliveries.finishDelivered(simple.map(deliveredOf), now)
        const others = results.filter((result) => !isSimple(result))
        const rows = await lockRows(stores, others)
        const patches: Patch[] = []
        const kept = simple.filter(({ job }) => delivered.has(job.delivery.id))
        counts.delivered = kept.length
        counts.fenced = simple.length - kept.length
        for (const result of others) {
          const row = rows.get(result.job.delivery.id)
          if (!row || row.leaseToken !== result.job.leaseToken) {
            counts.fenced++
            continue
          }
          const patch = patchFor(row, result, now, settled.disabled)
          patches.push(patch)
          kept.push(result)
          counts[result.outcome.kind]++
          if (patch.status === 'dead_letter' && row.status === 'pending') await announce({ ...row, ...patch }, tx)
          await keepOrder(stores, row, patch, now)
        }
        if (patches.length > 0) await stores.deliveries.updateEach(patches)
        const attempts = kept.flatMap(({ attempt }) => attempt ?? [])
        if (attempts.length > 0) await stores.deliveries.insertAttempts(attempts)
        // Last, since all workers add to the same few rows: whoever waits for one waits for a commit alone.
        await stores.stats.add(statsOf(kept, now))
        return { counts, newlyDisabled: settled.newlyDisabled }
      },
      undefined,
      { lockTimeoutMs },
    )
    for (const { endpoint, tenantId } of newlyDisabled) onEndpointDisabled(endpoint, { tenantId })
    return counts
  }

  function announce(row: StoredDelivery, tx: Tx): Promise<void> {
    const { id, messageId, endpointId, eventType, attempts, lastStatus, lastError } = row
    const data = { deliveryId: id, messageId, endpointId, eventType, attempts, lastStatus, lastError }
    const scope = { tenantId: row.tenantId, actor: systemActor }
    return emit(scope, { type: 'delivery.dead_lettered', resource: { type: 'delivery', id }, data }, tx)
  }
}

/** Most are: what became of them does not depend on what else became of their rows. */
function isSimple({ outcome, job: { delivery } }: Result): boolean {
  return outcome.kind === 'delivered' && (delivery.orderKey === null || delivery.attempts === 1)
}

function deliveredOf({ job, attempt }: Result): Delivered {
  return { id: job.delivery.id, leaseToken: job.leaseToken, status: attempt?.status ?? null }
}

async function lockRows(
  { deliveries }: WebhooksStores,
  results: readonly Result[],
): Promise<Map<string, StoredDelivery>> {
  if (results.length === 0) return new Map()
  const rows = await deliveries.lockAll(results.map(({ job }) => job.delivery.id))
  return new Map(rows.map((row) => [row.id, row]))
}

type Patch = Required<
  Pick<
    StoredDelivery,
    | 'id'
    | 'status'
    | 'attempts'
    | 'step'
    | 'dueAt'
    | 'leaseToken'
    | 'leaseUntil'
    | 'lost'
    | 'counted'
    | 'lastStatus'
    | 'lastError'
    | 'endedAt'
  >
>

function patchFor(
  row: StoredDelivery,
  { outcome, attempt, job }: Result,
  now: number,
  disabled: ReadonlySet<string>,
): Patch {
  const { id, status, attempts, step, dueAt, lastStatus, lastError, endedAt } = row
  const patch: Patch = {
    id,
    status,
    attempts,
    step,
    dueAt,
    leaseToken: null,
    leaseUntil: null,
    lost: 0,
    counted: null,
    lastStatus,
    lastError,
    endedAt,
  }
  if (attempt) {
    patch.lastStatus = attempt.status
    patch.lastError = attempt.error
  } else {
    // Nothing was sent, so nothing counts.
    patch.attempts--
    patch.step--
  }
  if (outcome.kind === 'delivered') return { ...patch, status: 'delivered', endedAt: now }
  // Somebody canceled it while it was being sent.
  if (status !== 'pending') return patch
  const unused = step - 1
  switch (outcome.kind) {
    case 'retry':
      return { ...patch, dueAt: outcome.dueAt }
    case 'released':
      return { ...patch, dueAt: outcome.dueAt, step: unused }
    case 'held':
      // No step of the schedule is used up: it is to be sent when the endpoint is enabled, or already was again.
      return disabled.has(job.delivery.endpointId)
        ? { ...patch, step: unused, status: 'held' }
        : { ...patch, step: unused, dueAt: now }
    case 'dead_letter':
    case 'canceled':
      return { ...patch, status: outcome.kind, endedAt: now }
  }
}

/** Those behind a delivery that has to wait wait as long, so that no claim looks at each of them in between. */
async function keepOrder(
  { deliveries }: WebhooksStores,
  row: StoredDelivery,
  patch: Patch,
  now: number,
): Promise<void> {
  const { endpointId, orderKey, position } = row
  if (orderKey === null || row.status !== 'pending') return
  if (patch.status === 'pending') await deliveries.moveBehind(endpointId, orderKey, position, patch.dueAt)
  else if (patch.status !== 'delivered' || row.attempts > 1) {
    await deliveries.moveBehind(endpointId, orderKey, position, now)
  }
}
