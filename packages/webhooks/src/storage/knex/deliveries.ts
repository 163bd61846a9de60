import { type Columns, dialectOf, integer, KnexTable, nullable, oneOf, text } from '@org/core/knex'
import type { Knex } from 'knex'
import type { AttemptError, DeliveryStatus, StoredDelivery } from '../../deliveries/schema.js'
import type { DeliveryStore } from '../../deliveries/store.js'
import { knexAttempts } from './attempts.js'
import { claimDue } from './claim.js'

const columns: Columns<StoredDelivery> = {
  id: text,
  tenantId: text,
  messageId: text,
  endpointId: text,
  eventType: text,
  status: oneOf<DeliveryStatus>(),
  attempts: integer,
  step: integer,
  dueAt: integer,
  leaseToken: nullable(text),
  lastStatus: nullable(integer),
  lastError: nullable(oneOf<AttemptError>()),
  createdAt: integer,
  endedAt: nullable(integer),
}

export function knexDeliveries(db: Knex, prefix: string): DeliveryStore {
  const table = new KnexTable<StoredDelivery>(db, `${prefix}deliveries`, columns)
  const attempts = knexAttempts(db, prefix)
  return {
    insert: (deliveries) => table.insert(deliveries),
    get: (tenantId, id) => table.find({ tenantId, id }),
    lock: (tenantId, id) => table.lock({ tenantId, id }),
    lockAll: (ids) =>
      table.all((query) => {
        query.whereIn('id', ids).orderBy('id')
        return dialectOf(db) === 'sqlite' ? query : query.forUpdate()
      }),
    list: (tenantId, filter, slice) =>
      table.newestFirst(
        (query) => query.where(table.encode({ ...(filter as Partial<StoredDelivery>), tenantId })),
        slice,
      ),
    update: async (id, patch) => void (await table.update({ id }, patch)),
    updateAll: async (ids, patch) => void (await table.update((query) => query.whereIn('id', ids), patch)),

    async anyDue(now) {
      const due = (query: Knex.QueryBuilder) => query.where('status', 'pending').where('due_at', '<=', now)
      return (await table.find(due)) !== null
    },
    claim: (request) => claimDue(table, request),

    releaseHeld: async (endpointId, now) =>
      void (await table.update({ endpointId, status: 'held' }, { status: 'pending', dueAt: now })),
    cancelAll: async (endpointId, now) =>
      void (await table.update(
        (query) => query.where('endpoint_id', endpointId).whereIn('status', ['pending', 'held']),
        {
          status: 'canceled',
          endedAt: now,
        },
      )),

    ...attempts,
  }
}
