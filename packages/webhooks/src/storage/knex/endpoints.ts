import { flag, integer, json, KnexTable, nullable, oneOf, text } from '@org/core/knex'
import type { Knex } from 'knex'
import type { SigningSecret, StoredEndpoint } from '../../endpoints/schema.js'
import type { EndpointStore } from '../../endpoints/store.js'

export function knexEndpoints(db: Knex, prefix: string): EndpointStore {
  const table = new KnexTable<StoredEndpoint>(db, `${prefix}endpoints`, {
    id: text,
    tenantId: text,
    url: text,
    description: nullable(text),
    eventTypes: nullable(json<string[]>()),
    channels: nullable(json<string[]>()),
    metadata: json<Record<string, string>>(),
    enabled: flag,
    disabledReason: nullable(oneOf<'manual' | 'gone'>()),
    secrets: json<SigningSecret[]>(),
    createdAt: integer,
    updatedAt: integer,
  })
  return {
    insert: (endpoint) => table.insert(endpoint),
    get: (tenantId, id) => table.find({ tenantId, id }),
    lock: (tenantId, id) => table.lock({ tenantId, id }),
    list: (tenantId, slice) => table.newestFirst({ tenantId }, slice),
    update: async (id, patch) => void (await table.update({ id }, patch)),
    remove: async (id) => void (await table.remove({ id })),
    subscribers: (tenantId) => table.all({ tenantId }),
    byIds: (ids) => table.all((query) => query.whereIn('id', ids)),
  }
}
