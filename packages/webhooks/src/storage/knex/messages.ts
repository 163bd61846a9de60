import { integer, json, KnexTable, nullable, text } from '@org/core/knex'
import type { Knex } from 'knex'
import type { StoredMessage } from '../../messages/schema.js'
import type { MessageStore } from '../../messages/store.js'

export function knexMessages(db: Knex, prefix: string): MessageStore {
  const table = new KnexTable<StoredMessage>(db, `${prefix}messages`, {
    id: text,
    tenantId: text,
    type: text,
    body: text,
    channels: nullable(json<string[]>()),
    idempotencyKey: nullable(text),
    fingerprint: text,
    deliveries: integer,
    createdAt: integer,
  })
  return {
    async insertOrFind(message) {
      if (message.idempotencyKey !== null) return table.insertOrFind(message, ['tenantId', 'idempotencyKey'])
      await table.insert(message)
      return null
    },
    get: (tenantId, id) => table.find({ tenantId, id }),
    byIds: (ids) => table.all((query) => query.whereIn('id', ids)),
  }
}
