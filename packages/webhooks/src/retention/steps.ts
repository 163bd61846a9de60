/** What retention does in one transaction. Each step is bounded, and says where the next one goes on. */
import { systemActor, type Tx } from '@org/core'
import type { StoredDelivery } from '../deliveries/schema.js'
import type { Deps } from '../deps.js'
import type { WebhooksStores } from '../storage/port.js'
import type { Pruned } from './schema.js'

/** How many messages a step looks at, and how many of their deliveries it takes at the most. */
const maxMessages = 500
const maxDeliveries = 2_000
const maxStats = 500
const maxJobs = 500

/** How many messages a step looks at for what was set aside of them, and how much of it it discards. */
const maxMessagesSetAside = 100
const maxSetAside = 500

export interface Step {
  done: Partial<Pruned>
  /** Where the next step goes on; null if there is nothing more that is old enough. */
  next: string | null
}

/** When a step is done, and in which transaction. */
export interface StepTurn {
  now: number
  tx: Tx
}

/** Removes or changes what is older than `before`, beginning after `cursor`. */
export type StepWork = (stores: WebhooksStores, cursor: string, before: number, turn: StepTurn) => Promise<Step>

export const removeMessages: StepWork = async (stores, cursor, before) => {
  const { ids, next } = await nextEnded(stores, { after: cursor, before, withPayload: false })
  if (ids.length === 0) return { done: {}, next }
  const { retention, deliveries } = stores
  const found = await retention.deliveryIdsOf(ids, maxDeliveries + 1)
  // Somebody may have had one sent again since; locking them waits for that.
  const rows = await deliveries.lockAll(found)
  const kept = new Set(rows.filter((row) => !hasEnded(row, before)).map(({ messageId }) => messageId))
  const gone = rows.filter(({ messageId }) => !kept.has(messageId)).map(({ id }) => id)
  const removed = await retention.removeDeliveries(gone)
  // One message to so many endpoints goes by parts, and itself with the last.
  if (found.length > maxDeliveries) return { done: removed, next: kept.size === 0 ? cursor : next }
  const messages = await retention.removeMessages(ids.filter((id) => !kept.has(id)))
  return { done: { ...removed, messages }, next }
}

export const forgetPayloads: StepWork = async (stores, cursor, before) => {
  const { ids, next } = await nextEnded(stores, { after: cursor, before, withPayload: true })
  if (ids.length === 0) return { done: {}, next }
  // Somebody may have had one sent again before its message was locked; nobody can since.
  const still = await stores.retention.endedAmong(ids, before)
  return { done: { payloads: await stores.retention.forgetPayloads(still) }, next }
}

/** Gives up dead letters and held deliveries that nobody has cared for, and tells of each. */
export function createDiscarding({ emit, runtime }: Pick<Deps, 'emit' | 'runtime'>): StepWork {
  return async ({ retention, deliveries }, cursor, before, { now, tx }) => {
    const looked = await retention.setAside({ after: cursor, before, limit: maxMessagesSetAside, rows: maxSetAside })
    // Somebody may have had one sent again since; locking them waits for that.
    const rows = (await deliveries.lockAll(looked.deliveryIds)).filter((row) => isForgotten(row, before))
    const ids = rows.map(({ id }) => id)
    await deliveries.updateAll(ids, { status: 'discarded', endedAt: now })
    for (const { id, tenantId, messageId, endpointId, eventType, status, orderKey, position } of rows) {
      // What waited behind it need not wait any longer.
      if (status === 'held' && orderKey !== null) await deliveries.moveBehind(endpointId, orderKey, position, now)
      const data = { deliveryId: id, messageId, endpointId, eventType }
      const scope = { tenantId, actor: systemActor }
      await emit(scope, { type: 'delivery.discarded', resource: { type: 'delivery', id }, data }, tx)
    }
    if (ids.length > 0) {
      const endpoints = new Set(rows.map(({ endpointId }) => endpointId)).size
      runtime.logger.warn('Webhooks set aside for longer than `retention.setAsideMs` were discarded', {
        deliveries: ids.length,
        endpoints,
      })
    }
    const isMore = looked.deliveryIds.length === maxSetAside && ids.length > 0
    return { done: { discarded: ids.length }, next: isMore ? cursor : looked.last }
  }
}

export const removeJobs: StepWork = async ({ retention }, cursor, before) => {
  const { removed, last } = await retention.removeJobs({ after: cursor, before, limit: maxJobs })
  return { done: { jobs: removed }, next: last }
}

export const removeStats: StepWork = async ({ stats }, cursor, before) => {
  const removed = await stats.removeBefore(before, maxStats)
  return { done: { stats: removed }, next: removed === 0 ? null : cursor }
}

/** Messages that may go, with so few deliveries together that one transaction takes them; one at least. */
async function nextEnded(
  { retention }: WebhooksStores,
  request: { after: string; before: number; withPayload: boolean },
): Promise<{ ids: string[]; next: string | null }> {
  const { messageIds, last } = await retention.ended({ ...request, limit: maxMessages })
  if (messageIds.length === 0) return { ids: [], next: last }
  const counts = await retention.countsOf(messageIds)
  let total = 0
  const tooMany = messageIds.findIndex((id) => {
    total += counts.get(id) ?? 0
    return total > maxDeliveries
  })
  if (tooMany < 0) return { ids: messageIds, next: last }
  const ids = messageIds.slice(0, Math.max(tooMany, 1))
  return { ids, next: ids.at(-1) ?? last }
}

/** Whether it was set aside before then. A held delivery has waited since it was due. */
export function isForgotten({ status, endedAt, dueAt }: StoredDelivery, before: number): boolean {
  return status === 'dead_letter' ? (endedAt ?? dueAt) < before : status === 'held' && dueAt < before
}

/** Whether it ended before then, and nobody is still sending it; whoever died of it has left a lease behind. */
export function hasEnded({ status, endedAt, leaseUntil }: StoredDelivery, before: number): boolean {
  const isKept = status === 'pending' || status === 'held' || status === 'dead_letter'
  return !isKept && endedAt !== null && endedAt < before && (leaseUntil ?? 0) < before
}
