import { integer, json, KnexTable, nullable, oneOf, text } from '@org/core/knex'
import type { Knex } from 'knex'
import type { Invoice } from '../../invoices/schema.js'
import type { InvoiceStore } from '../../invoices/store.js'
import { oldestFirst } from './oldest-first.js'

export function knexInvoices(db: Knex, prefix: string): InvoiceStore {
  const table = new KnexTable<Invoice>(db, `${prefix}invoices`, {
    id: text,
    tenantId: text,
    subscriptionId: nullable(text),
    number: nullable(text),
    status: oneOf(),
    reason: oneOf(),
    currency: text,
    lines: json(),
    total: integer,
    balanceApplied: integer,
    amountDue: integer,
    amountPaid: integer,
    periodStart: integer,
    periodEnd: integer,
    finalizedAt: nullable(integer),
    paidAt: nullable(integer),
    voidedAt: nullable(integer),
    createdAt: integer,
    updatedAt: integer,
    change: nullable(json()),
    periodKey: nullable(text),
  })
  const sequences = new KnexTable<{ name: string; value: number }>(db, `${prefix}sequences`, {
    name: text,
    value: integer,
  })
  return {
    insert: (invoice) => table.insertUnlessExists(invoice, ['periodKey']),
    get: (tenantId, id) => table.find({ tenantId, id }),
    lock: (tenantId, id) => table.lock({ tenantId, id }),
    update: async (invoice) => void (await table.update({ id: invoice.id }, invoice)),
    remove: async (id) => void (await table.remove({ id })),
    list: (tenantId, { status, subscriptionId }, slice) =>
      table.newestFirst(
        (query) =>
          query.where(table.encode({ tenantId, ...(status && { status }), ...(subscriptionId && { subscriptionId }) })),
        slice,
      ),
    openOf: async (subscriptionId) => {
      // A locking read sees what others committed after this transaction began, on MySQL too.
      const query = table.query({ subscriptionId, status: 'open' }).select('id').forShare()
      const rows: { id: string }[] = await query
      return rows.map((row) => row.id)
    },
    scan: (slice) => table.all((query) => oldestFirst(query, slice)),
    nextNumber: async (name) => {
      const row = sequences.encode({ name, value: 1 })
      await db(sequences.name)
        .insert(row)
        .onConflict('name')
        .merge({ value: db.raw('?? + 1', [`${sequences.name}.value`]) })
      return (await sequences.find({ name }))?.value ?? 0
    },
    numbering: async (name) => {
      const [row]: { numbered: unknown }[] = await table.query().whereNotNull('number').count({ numbered: '*' })
      return { last: (await sequences.find({ name }))?.value ?? 0, numbered: Number(row?.numbered ?? 0) }
    },
  }
}
