import { flag, integer, json, KnexTable, nullable, oneOf, text } from '@org/core/knex'
import type { Knex } from 'knex'
import type { Attempt, AttemptError } from '../../deliveries/schema.js'
import type { DeliveryStore } from '../../deliveries/store.js'

/** The attempt log. */
export function knexAttempts(db: Knex, prefix: string): Pick<DeliveryStore, 'insertAttempts' | 'attempts'> {
  const table = new KnexTable<Attempt>(db, `${prefix}attempts`, {
    deliveryId: text,
    number: integer,
    url: text,
    address: nullable(text),
    requestHeaders: json<Record<string, string>>(),
    status: nullable(integer),
    responseHeaders: nullable(json<Record<string, string>>()),
    responseBody: nullable(text),
    responseTruncated: flag,
    error: nullable(oneOf<AttemptError>()),
    detail: nullable(text),
    startedAt: integer,
    durationMs: integer,
  })
  return {
    insertAttempts: (list) => table.insert(list),
    attempts: (deliveryId, { limit, after }) =>
      table.all((query) => {
        query.where('delivery_id', deliveryId).orderBy('number', 'desc').limit(limit)
        return after ? query.where('number', '<', after[0]) : query
      }),
  }
}
