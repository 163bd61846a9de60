import { integer, KnexTable, nullable, oneOf, text } from '@org/core/knex'
import type { Knex } from 'knex'
import type { Payment } from '../../payments/schema.js'
import type { PaymentStore } from '../../payments/store.js'
import { oldestFirst } from './oldest-first.js'

export function knexPayments(db: Knex, prefix: string): PaymentStore {
  const table = new KnexTable<Payment>(db, `${prefix}payments`, {
    id: text,
    tenantId: text,
    invoiceId: text,
    attempt: integer,
    status: oneOf(),
    amount: integer,
    currency: text,
    paymentMethod: nullable(text),
    idempotencyKey: text,
    reference: nullable(text),
    declineCode: nullable(text),
    createdAt: integer,
    settledAt: nullable(integer),
  })
  return {
    insert: (payment) => table.insert(payment),
    of: (invoiceId) => table.all((query) => query.where('invoice_id', invoiceId).orderBy('attempt').forUpdate()),
    settle: async (id, outcome) => (await table.update((query) => query.where({ id, status: 'pending' }), outcome)) > 0,
    removeOf: async (invoiceId) => void (await table.remove({ invoiceId })),
    pending: (before, slice) =>
      table.all((query) => oldestFirst(query.where('status', 'pending').where('created_at', '<=', before), slice)),
  }
}
