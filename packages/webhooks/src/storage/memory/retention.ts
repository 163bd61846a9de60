import { type MemoryRows, MemoryTable, type MemoryTransaction } from '@org/core'
import type { Attempt, StoredDelivery } from '../../deliveries/schema.js'
import type { StoredJob } from '../../jobs/schema.js'
import type { StoredMessage } from '../../messages/schema.js'
import { hasEnded, isForgotten } from '../../retention/steps.js'
import type { OldRequest, RetentionStore } from '../../retention/store.js'

export interface PrunedRows {
  messages: MemoryRows<StoredMessage>
  deliveries: MemoryRows<StoredDelivery>
  attempts: MemoryRows<Attempt>
  jobs: MemoryRows<StoredJob>
}

export function memoryRetention(rows: PrunedRows, tx: MemoryTransaction): RetentionStore {
  const messages = new MemoryTable(rows.messages, tx, { key: (row) => row.id })
  const deliveries = new MemoryTable(rows.deliveries, tx, { key: (row) => row.id })
  const attempts = new MemoryTable(rows.attempts, tx, { key: (row) => `${row.deliveryId}/${row.number}` })
  const jobs = new MemoryTable(rows.jobs, tx, { key: (row) => row.id })
  const deliveriesOf = (messageIds: readonly string[]) => {
    const wanted = new Set(messageIds)
    return [...rows.deliveries.values()].filter((row) => wanted.has(row.messageId))
  }
  const endedAmong = (messageIds: readonly string[], before: number) => {
    const kept = new Set(
      deliveriesOf(messageIds)
        .filter((row) => !hasEnded(row, before))
        .map(({ messageId }) => messageId),
    )
    return messageIds.filter((id) => !kept.has(id) && rows.messages.get(id)?.fanOutAfter === null)
  }
  return {
    async ended({ after, limit, before, withPayload }) {
      const old = oldest(rows.messages, { after, limit, before })
      const wanted = old.filter(({ body }) => !(withPayload && body === null)).map(({ id }) => id)
      return { messageIds: endedAmong(wanted, before), last: old.at(-1)?.id ?? null }
    },
    endedAmong: async (messageIds, before) => endedAmong(messageIds, before),
    async setAside(request) {
      const old = oldest(rows.messages, request).map(({ id }) => id)
      const found = deliveriesOf(old).filter((row) => isForgotten(row, request.before))
      return { deliveryIds: found.slice(0, request.rows).map(({ id }) => id), last: old.at(-1) ?? null }
    },
    async removeJobs(request) {
      const old = oldest(rows.jobs, request)
      const gone = new Set(old.filter((row) => (row.endedAt ?? request.before) < request.before).map(({ id }) => id))
      return { removed: jobs.remove(({ id }) => gone.has(id)), last: old.at(-1)?.id ?? null }
    },
    async countsOf(messageIds) {
      const counts = new Map<string, number>()
      for (const { messageId } of deliveriesOf(messageIds)) counts.set(messageId, (counts.get(messageId) ?? 0) + 1)
      return counts
    },
    deliveryIdsOf: async (messageIds, limit) =>
      deliveriesOf(messageIds)
        .slice(0, limit)
        .map(({ id }) => id),
    async removeDeliveries(ids) {
      const gone = new Set(ids)
      return {
        attempts: attempts.remove(({ deliveryId }) => gone.has(deliveryId)),
        deliveries: deliveries.remove(({ id }) => gone.has(id)),
      }
    },
    async removeMessages(ids) {
      const gone = new Set(ids)
      return messages.remove(({ id }) => gone.has(id))
    },
    async forgetPayloads(messageIds) {
      const wanted = new Set(messageIds)
      const of = new Set(deliveriesOf(messageIds).map(({ id }) => id))
      attempts.update(
        ({ deliveryId }) => of.has(deliveryId),
        ({ error, detail }) => ({ responseBody: null, detail: error === 'transform_failed' ? null : detail }),
      )
      return messages.update(({ id, body }) => wanted.has(id) && body !== null, { body: null })
    },
  }
}

/** The next in the order of their ids, which is that of their making, until one is too young. */
function oldest<Row extends { id: string; createdAt: number }>(
  rows: MemoryRows<Row>,
  { after, limit, before }: OldRequest,
): Row[] {
  const next = [...rows.values()]
    .filter(({ id }) => id > after)
    .sort((a, b) => (a.id < b.id ? -1 : 1))
    .slice(0, limit)
  const young = next.findIndex(({ createdAt }) => createdAt >= before)
  return young < 0 ? next : next.slice(0, young)
}
