/** Writes what became of many deliveries in one transaction. */
import { systemActor, type Tx } from '@org/core'
import type { StoredDelivery } from '../deliveries/schema.js'
import type { DeliveryPatch } from '../deliveries/store.js'
import type { Deps } from '../deps.js'
import { type HeldEndpoint, settleDisabled } from '../endpoints/settle-disabled.js'
import type { WebhooksStores } from '../storage/port.js'
import type { Outcome, Result } from './engine.js'

/** What was finished, by what became of it; `fenced` are those whose lease somebody else had taken over. */
export type FinishCounts = Record<Outcome['kind'] | 'fenced', number>

export function noCounts(): FinishCounts {
  return { delivered: 0, retry: 0, dead_letter: 0, held: 0, canceled: 0, released: 0, fenced: 0 }
}

/** Writes results in one transaction, all or none. */
export type Finish = (results: readonly Result[]) => Promise<FinishCounts>

export function createFinish(deps: Pick<Deps, 'storage' | 'runtime' | 'emit'>): Finish {
  const { storage, runtime, emit } = deps
  return (results) =>
    storage.run(async (stores, tx) => {
      const counts = noCounts()
      const now = runtime.clock.now()
      // Endpoints are locked before deliveries, as everywhere.
      const disabled = await settleDisabled(deps, stores, heldEndpoints(results), tx)
      const rows = new Map(
        (await stores.deliveries.lockAll(results.map(({ job }) => job.delivery.id))).map((row) => [row.id, row]),
      )
      const patches: [id: string, patch: DeliveryPatch][] = []
      const kept: Result[] = []
      for (const result of results) {
        const row = rows.get(result.job.delivery.id)
        if (!row || row.leaseToken !== result.job.leaseToken) {
          counts.fenced++
          continue
        }
        const patch = patchFor(row, result, now, disabled)
        patches.push([row.id, patch])
        kept.push(result)
        counts[result.outcome.kind]++
        if (patch.status === 'dead_letter') await announce({ ...row, ...patch }, tx)
      }
      await write(stores, patches)
      await stores.deliveries.insertAttempts(kept.flatMap(({ attempt }) => attempt ?? []))
      return counts
    })

  function announce(row: StoredDelivery, tx: Tx): Promise<void> {
    const { id, messageId, endpointId, eventType, attempts, lastStatus, lastError } = row
    const data = { deliveryId: id, messageId, endpointId, eventType, attempts, lastStatus, lastError }
    const scope = { tenantId: row.tenantId, actor: systemActor }
    return emit(scope, { type: 'delivery.dead_lettered', resource: { type: 'delivery', id }, data }, tx)
  }
}

function heldEndpoints(results: readonly Result[]): Map<string, HeldEndpoint> {
  const found = new Map<string, HeldEndpoint>()
  for (const { job, outcome } of results) {
    if (outcome.kind !== 'held') continue
    const { endpointId, tenantId } = job.delivery
    const gone = outcome.gone ? (job.endpoint?.url ?? null) : null
    found.set(endpointId, { tenantId, gone: gone ?? found.get(endpointId)?.gone ?? null })
  }
  return found
}

function patchFor(
  row: StoredDelivery,
  { outcome, attempt, job }: Result,
  now: number,
  disabled: ReadonlySet<string>,
): DeliveryPatch {
  const answered = attempt && { lastStatus: attempt.status, lastError: attempt.error }
  // Nothing was sent, so nothing counts.
  const uncounted = attempt ? {} : { attempts: row.attempts - 1, step: row.step - 1 }
  const patch: DeliveryPatch = { leaseToken: null, ...answered, ...uncounted }
  if (outcome.kind === 'delivered') return { ...patch, status: 'delivered', endedAt: now }
  // Somebody canceled it while it was being sent.
  if (row.status !== 'pending') return patch
  switch (outcome.kind) {
    case 'retry':
      return { ...patch, dueAt: outcome.dueAt }
    case 'released':
      return { ...patch, dueAt: now, step: row.step - 1 }
    case 'held':
      // No step of the schedule is used up: it is to be sent when the endpoint is enabled, or already was again.
      return {
        ...patch,
        step: row.step - 1,
        ...(disabled.has(job.delivery.endpointId) ? { status: 'held' } : { dueAt: now }),
      }
    case 'dead_letter':
    case 'canceled':
      return { ...patch, status: outcome.kind, endedAt: now }
  }
}

/** One statement for each distinct patch: most deliveries of a batch end alike. */
async function write({ deliveries }: WebhooksStores, patches: [id: string, patch: DeliveryPatch][]): Promise<void> {
  const groups = new Map<string, { ids: string[]; patch: DeliveryPatch }>()
  for (const [id, patch] of patches) {
    const key = JSON.stringify(patch)
    const group = groups.get(key)
    if (group) group.ids.push(id)
    else groups.set(key, { ids: [id], patch })
  }
  for (const { ids, patch } of groups.values()) await deliveries.updateAll(ids, patch)
}
