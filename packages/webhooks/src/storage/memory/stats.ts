import { type MemoryRows, MemoryTable, type MemoryTransaction } from '@org/core'
import type { StoredDelivery } from '../../deliveries/schema.js'
import type { StoredMessage } from '../../messages/schema.js'
import type { StoredStats } from '../../stats/schema.js'
import type { StatsStore } from '../../stats/store.js'
import { addStats } from '../../stats/tally.js'

export interface CountedRows {
  stats: MemoryRows<StoredStats>
  deliveries: MemoryRows<StoredDelivery>
  messages: MemoryRows<StoredMessage>
}

export function memoryStats({ stats, deliveries, messages }: CountedRows, tx: MemoryTransaction): StatsStore {
  const key = ({ endpointId, hour }: Pick<StoredStats, 'endpointId' | 'hour'>) => `${endpointId}/${hour}`
  const table = new MemoryTable(stats, tx, { key })
  const oldestFirst = (rows: StoredStats[]) => rows.sort((a, b) => a.hour - b.hour)
  return {
    async add(rows) {
      for (const row of rows) {
        const sum = table.get(key(row))
        if (sum) addStats(sum, row)
        if (sum) table.replace(sum)
        else table.insert(row)
      }
    },
    between: async (tenantId, endpointId, since, until) =>
      oldestFirst(
        table.filter(
          (row) => row.tenantId === tenantId && row.endpointId === endpointId && row.hour >= since && row.hour < until,
        ),
      ),
    async countOf(tenantId, endpointId, status, limit) {
      const found = [...deliveries.values()].filter(
        (row) => row.tenantId === tenantId && row.endpointId === endpointId && row.status === status,
      )
      return Math.min(found.length, limit)
    },
    countFanOuts: async (limit) =>
      Math.min([...messages.values()].filter((row) => row.fanOutAfter !== null).length, limit),
    async removeBefore(time, limit) {
      const old = oldestFirst(table.filter((row) => row.hour < time))
      const gone = old.filter(({ hour }) => hour === old[0]?.hour).slice(0, limit)
      for (const row of gone) table.delete(key(row))
      return gone.length
    },
  }
}
