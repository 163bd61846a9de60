import {
  dialectOf,
  type Fields,
  fieldsOf,
  flag,
  integer,
  json,
  KnexTable,
  nullable,
  oneOf,
  text,
  whereAmong,
} from '@org/core/knex'
import type { Knex } from 'knex'
import type { Filter } from '../../endpoints/filter.js'
import { healthy } from '../../endpoints/health.js'
import type { DisabledReason, SigningSecret, StoredEndpoint } from '../../endpoints/schema.js'
import type { EndpointStore, Health, Subscriber } from '../../endpoints/store.js'

const subscription = {
  id: text,
  eventTypes: nullable(json<string[]>()),
  channels: nullable(json<string[]>()),
  filter: nullable(json<Filter>()),
  ordering: nullable(oneOf<'key' | 'endpoint'>()),
  retryScheduleMs: nullable(json<number[]>()),
  createdAt: integer,
}

const columns = fieldsOf<StoredEndpoint>({
  ...subscription,
  tenantId: text,
  url: text,
  description: nullable(text),
  metadata: json<Record<string, string>>(),
  headers: json<Record<string, string>>(),
  enabled: flag,
  disabledReason: nullable(oneOf<DisabledReason>()),
  unverified: flag,
  secrets: json<SigningSecret[]>(),
  extraSignature: nullable(json<NonNullable<StoredEndpoint['extraSignature']>>()),
  timeoutMs: nullable(integer),
  rateLimit: nullable(json<NonNullable<StoredEndpoint['rateLimit']>>()),
  maxInFlight: nullable(integer),
  updatedAt: integer,
})

const subscriberColumns = fieldsOf<Subscriber>(subscription)

const healthColumns: Fields<Health> = fieldsOf<Health>({
  endpointId: text,
  tenantId: text,
  failures: integer,
  failingSince: nullable(integer),
  openUntil: nullable(integer),
  opened: integer,
  bucketAt: integer,
})

export function knexEndpoints(db: Knex, prefix: string): EndpointStore {
  const table = new KnexTable<StoredEndpoint>(db, `${prefix}endpoints`, columns)
  const subscribers = new KnexTable<Subscriber>(db, `${prefix}endpoints`, subscriberColumns)
  const health = new KnexTable<Health>(db, `${prefix}health`, healthColumns)
  const sqlite = dialectOf(db) === 'sqlite'
  const inOrder = (query: Knex.QueryBuilder, ids: readonly string[]) =>
    whereAmong(query, 'endpoint_id', ids).orderBy('endpoint_id')

  return {
    async insert(endpoint) {
      await table.insert(endpoint)
      await health.insert(healthy(endpoint))
    },
    get: (tenantId, id) => table.find({ tenantId, id }),
    lock: (tenantId, id) => table.lock({ tenantId, id }),
    list: (tenantId, slice) => table.newestFirst({ tenantId }, slice),
    update: async (id, patch) => void (await table.update({ id }, patch)),
    async remove(id) {
      await table.remove({ id })
      await health.remove({ endpointId: id })
    },
    subscribers: (tenantId, { limit, after }) =>
      subscribers.all((query) => {
        if (after) query.where('id', '>', after[0])
        return query.where('tenant_id', tenantId).orderBy('id').limit(limit)
      }),
    byIds: (ids) => table.among('id', ids),

    health: (ids) => health.all((query) => inOrder(query, ids)),
    lockHealth: (ids) =>
      health.all((query) => (sqlite ? inOrder(query, ids) : inOrder(query, ids).forUpdate().skipLocked())),
    awaitHealth: (ids) => health.all((query) => (sqlite ? inOrder(query, ids) : inOrder(query, ids).forUpdate())),
    updateHealth: (patches) => health.updateEach('endpointId', patches),
  }
}
