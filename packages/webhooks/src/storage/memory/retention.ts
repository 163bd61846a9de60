import { type MemoryRows, MemoryTable, type MemoryTransaction } from '@org/core'
import type { Attempt, StoredDelivery } from '../../deliveries/schema.js'
import type { StoredMessage } from '../../messages/schema.js'
import { hasEnded } from '../../retention/steps.js'
import type { RetentionStore } from '../../retention/store.js'

export interface PrunedRows {
  messages: MemoryRows<StoredMessage>
  deliveries: MemoryRows<StoredDelivery>
  attempts: MemoryRows<Attempt>
}

export function memoryRetention(rows: PrunedRows, tx: MemoryTransaction): RetentionStore {
  const messages = new MemoryTable(rows.messages, tx, { key: (row) => row.id })
  const deliveries = new MemoryTable(rows.deliveries, tx, { key: (row) => row.id })
  const attempts = new MemoryTable(rows.attempts, tx, { key: (row) => `${row.deliveryId}/${row.number}` })
  const deliveriesOf = (messageIds: readonly string[]) => {
    const wanted = new Set(messageIds)
    return [...rows.deliveries.values()].filter((row) => wanted.has(row.messageId))
  }
  return {
    async ended({ after, limit, before, withPayload }) {
      const next = [...rows.messages.values()]
        .filter(({ id }) => id > after)
        .sort((a, b) => (a.id < b.id ? -1 : 1))
        .slice(0, limit)
      const young = next.findIndex(({ createdAt }) => createdAt >= before)
      const old = young < 0 ? next : next.slice(0, young)
      const kept = new Set(
        deliveriesOf(old.map(({ id }) => id))
          .filter((row) => !hasEnded(row, before))
          .map(({ messageId }) => messageId),
      )
      const gone = old.filter(
        ({ id, fanOutAfter, body }) => fanOutAfter === null && !kept.has(id) && !(withPayload && body === null),
      )
      return { messageIds: gone.map(({ id }) => id), last: old.at(-1)?.id ?? null }
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
