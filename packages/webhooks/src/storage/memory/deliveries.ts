import { type MemoryRows, MemoryTable, type MemoryTransaction, newestFirst } from '@org/core'
import { leased } from '../../deliveries/claim.js'
import { ended } from '../../deliveries/finish.js'
import { type Attempt, besideOrder, type StoredDelivery } from '../../deliveries/schema.js'
import type { DeliveryStore, SetAsideQuery } from '../../deliveries/store.js'

export function memoryDeliveries(
  rows: MemoryRows<StoredDelivery>,
  attemptRows: MemoryRows<Attempt>,
  tx: MemoryTransaction,
): DeliveryStore {
  const table = new MemoryTable(rows, tx, { key: (row) => row.id })
  const attempts = new MemoryTable(attemptRows, tx, { key: (row) => `${row.deliveryId}/${row.number}` })
  const get = async (tenantId: string, id: string) => {
    const row = table.get(id)
    return row?.tenantId === tenantId ? row : null
  }
  /** Not copied: a backlog would be, at each claim. */
  const pending = () => [...rows.values()].filter((row) => row.status === 'pending')
  const isWaiting = (row: StoredDelivery) => row.status === 'pending' || row.status === 'held'
  const inOrder = (endpointId: string, orderKey: string) =>
    [...rows.values()].filter((row) => row.endpointId === endpointId && row.orderKey === orderKey && isWaiting(row))
  const comesBefore = (a: StoredDelivery, b: StoredDelivery) =>
    a.position < b.position || (a.position === b.position && a.id < b.id)
  const setAside = ({ tenantId, endpointId, statuses, since, until, upTo }: SetAsideQuery) =>
    [...rows.values()]
      .filter((row) => row.tenantId === tenantId && row.id <= upTo && statuses.some((status) => status === row.status))
      .filter((row) => endpointId === null || row.endpointId === endpointId)
      .filter((row) => row.createdAt >= (since ?? row.createdAt) && (until === null || row.createdAt < until))
  const byId = (a: StoredDelivery, b: StoredDelivery) => (a.id < b.id ? -1 : 1)
  /** Of each key the one whose turn it is; none while another of it is being sent. */
  const turns = (ordered: ReadonlySet<string>, now: number) => {
    const first = new Map<string, StoredDelivery>()
    const sent = new Set<string>()
    for (const row of ordered.size > 0 ? rows.values() : []) {
      if (row.orderKey === null || !ordered.has(row.endpointId)) continue
      const key = keyOf(row)
      if ((row.leaseUntil ?? 0) > now) sent.add(key)
      const known = first.get(key)
      if (isWaiting(row) && (!known || comesBefore(row, known))) first.set(key, row)
    }
    return (row: StoredDelivery) => row.orderKey === null || (first.get(keyOf(row)) === row && !sent.has(keyOf(row)))
  }

  return {
    insert: async (deliveries) => {
      for (const delivery of deliveries) table.insert(delivery)
    },
    get,
    lock: get,
    lockAll: async (ids) => ids.flatMap((id) => table.get(id) ?? []),
    list: async (tenantId, { since, until, ...filter }, slice) =>
      newestFirst(
        table.filter(
          (row) =>
            row.tenantId === tenantId &&
            row.id >= (slice.from ?? '') &&
            row.createdAt >= (since ?? row.createdAt) &&
            (until === undefined || row.createdAt < until) &&
            Object.entries(filter).every(
              ([name, value]) => value === undefined || row[name as keyof StoredDelivery] === value,
            ),
        ),
        slice,
      ),
    lookDownTo: async () => null,
    update: async (id, patch) => void table.update((row) => row.id === id, patch),
    updateAll: async (ids, patch) => {
      const wanted = new Set(ids)
      for (const id of wanted) {
        const row = table.get(id)
        if (row) table.replace({ ...row, ...patch })
      }
    },

    async agenda() {
      const earliest = new Map<string, number>()
      for (const { endpointId, dueAt } of pending()) {
        earliest.set(endpointId, Math.min(dueAt, earliest.get(endpointId) ?? dueAt))
      }
      return [...earliest].map(([endpointId, dueAt]) => ({ endpointId, dueAt }))
    },
    async claim(request) {
      const rooms = new Map(request.rooms)
      const taken: StoredDelivery[] = []
      const isItsTurn = turns(request.ordered, request.now)
      for (const row of pending().sort((a, b) => a.dueAt - b.dueAt || (a.id < b.id ? -1 : 1))) {
        const room = rooms.get(row.endpointId) ?? 0
        if (row.dueAt > request.dueBy || room <= 0 || (row.leaseUntil ?? 0) > request.now) continue
        if (request.ordered.has(row.endpointId) && !isItsTurn(row)) continue
        rooms.set(row.endpointId, room - 1)
        taken.push(structuredClone(row))
      }
      for (const row of taken) table.replace(leased(row, request))
      return {
        deliveries: taken.map((row) => leased(row, request)),
        expired: taken.filter((row) => row.leaseToken !== null),
      }
    },
    async finishDelivered(delivered, now) {
      const finished = new Set<string>()
      for (const { id, leaseToken, status } of delivered) {
        const row = table.get(id)
        if (row?.leaseToken !== leaseToken) continue
        table.replace({ ...row, ...ended(now), lastStatus: status })
        finished.add(id)
      }
      return finished
    },
    async inFlight(endpointIds, now) {
      const counts = new Map<string, number>()
      for (const { endpointId, counted, leaseUntil } of rows.values()) {
        if (!counted || (leaseUntil ?? 0) <= now || !endpointIds.includes(endpointId)) continue
        counts.set(endpointId, (counts.get(endpointId) ?? 0) + 1)
      }
      return counts
    },
    updateEach: async (patches) => {
      for (const { id, ...patch } of patches) {
        const row = table.get(id)
        if (row) table.replace({ ...row, ...patch })
      }
    },

    lastInOrder: async (endpointId, orderKey) =>
      inOrder(endpointId, orderKey).sort((a, b) => b.position - a.position)[0] ?? null,
    moveBehind: async (endpointId, orderKey, position, dueAt) => {
      const behind = inOrder(endpointId, orderKey).filter(
        (row) => row.status === 'pending' && row.leaseToken === null && row.position > position,
      )
      for (const row of behind) table.replace({ ...row, dueAt })
    },

    lockWaiting: async (of) =>
      table
        .filter((row) =>
          'messageId' in of
            ? row.messageId === of.messageId
            : row.tenantId === of.tenantId && row.coalesceKey === of.coalesceKey,
        )
        .filter(isWaiting)
        .sort(byId),
    setAside: async (query, { limit, after }) =>
      setAside(query)
        .filter(({ id }) => after === null || id > after[0])
        .sort(byId)
        .slice(0, limit)
        .map(({ id, messageId, eventType, createdAt }) => ({ id, messageId, eventType, createdAt })),
    countSetAside: async (query, limit) => Math.min(setAside(query).length, limit),
    lastId: async (tenantId, endpointId) => {
      const own = [...rows.values()].filter(
        (row) => row.tenantId === tenantId && (endpointId === null || row.endpointId === endpointId),
      )
      return own.sort(byId).at(-1)?.id ?? null
    },
    idsTo: async (endpointId, messageIds) => {
      const wanted = new Set(messageIds)
      const own = [...rows.values()].filter((row) => row.endpointId === endpointId && wanted.has(row.messageId))
      return own.map(({ id }) => id)
    },
    countOf: async (messageId) => [...rows.values()].filter((row) => row.messageId === messageId).length,

    standBeside: async (endpointId) =>
      void table.update(
        (row) =>
          row.endpointId === endpointId &&
          row.orderKey === null &&
          row.position === 0 &&
          (isWaiting(row) || row.status === 'dead_letter'),
        { position: besideOrder },
      ),
    releaseHeld: async (endpointId, now, limit) => {
      const held = [...rows.values()].filter((row) => row.endpointId === endpointId && row.status === 'held')
      const first = held.sort(byId).slice(0, limit)
      for (const row of first) table.replace({ ...row, status: 'pending', dueAt: now })
      return first.length
    },
    cancelAll: async (endpointId, now) =>
      void table.update((row) => row.endpointId === endpointId && ['pending', 'held'].includes(row.status), {
        status: 'canceled',
        endedAt: now,
      }),

    insertAttempts: async (list) => {
      for (const attempt of list) attempts.insert(attempt)
    },
    attempts: async (deliveryId, { limit, after }) =>
      attempts
        .filter((row) => row.deliveryId === deliveryId && (after === null || row.number < after[0]))
        .sort((a, b) => b.number - a.number)
        .slice(0, limit),
  }
}

const keyOf = ({ endpointId, orderKey }: StoredDelivery) => JSON.stringify([endpointId, orderKey])
