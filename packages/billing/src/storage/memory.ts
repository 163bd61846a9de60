/** Everything in memory: for tests, demos and a first afternoon. Gone when the process ends. */
import {
  type IdempotencyRecord,
  type MemoryDatabase,
  type MemoryRows,
  MemoryTable,
  type MemoryTransaction,
  memoryDatabase,
  memoryIdempotency,
  memoryUnitOfWork,
  newestFirst,
  type Slice,
} from '@org/core'
import type { Customer } from '../customers/schema.js'
import type { Invoice } from '../invoices/schema.js'
import type { InvoiceStore } from '../invoices/store.js'
import type { Payment } from '../payments/schema.js'
import type { Subscription } from '../subscriptions/schema.js'
import type { SubscriptionStore } from '../subscriptions/store.js'
import { type MemoryUsageRows, memoryUsage } from './memory-usage.js'
import type { BillingStorage, BillingStores } from './port.js'

interface Rows {
  customers: MemoryRows<Customer>
  subscriptions: MemoryRows<Subscription>
  invoices: MemoryRows<Invoice>
  payments: MemoryRows<Payment>
  sequences: MemoryRows<{ name: string; value: number }>
  usage: MemoryUsageRows
  idempotency: MemoryRows<IdempotencyRecord>
}

/** One store in memory. Pass the same `database` to several modules to write to all of them in one transaction. */
export function memoryStorage({ database = memoryDatabase() }: { database?: MemoryDatabase } = {}): BillingStorage {
  const rows: Rows = {
    customers: new Map(),
    subscriptions: new Map(),
    invoices: new Map(),
    payments: new Map(),
    sequences: new Map(),
    usage: { events: new Map(), counters: new Map(), byKey: new Map() },
    idempotency: new Map(),
  }
  return memoryUnitOfWork(database, (tx) => bind(rows, tx))
}

function bind(rows: Rows, tx: MemoryTransaction): BillingStores {
  const customers = new MemoryTable(rows.customers, tx, { key: (row) => row.tenantId })
  const payments = new MemoryTable(rows.payments, tx, { key: (row) => row.id })
  return {
    customers: {
      insertOrFind: async (customer) =>
        customers.insertUnlessExists(customer) ? null : customers.get(customer.tenantId),
      get: async (tenantId) => customers.get(tenantId),
      lock: async (tenantId) => customers.get(tenantId),
      update: async (customer) => void customers.replace(customer),
    },
    subscriptions: subscriptionStore(rows, tx),
    invoices: invoiceStore(rows, tx),
    payments: {
      insert: async (payment) => payments.insert(payment),
      of: async (invoiceId) => payments.filter((row) => row.invoiceId === invoiceId),
      settle: async (id, outcome) => payments.update((row) => row.id === id && row.status === 'pending', outcome) > 0,
      removeOf: async (invoiceId) => void payments.remove((row) => row.invoiceId === invoiceId),
      pending: async (before, slice) =>
        oldestFirst(
          payments.filter((row) => row.status === 'pending' && row.createdAt <= before),
          slice,
        ),
    },
    usage: memoryUsage(rows.usage, tx),
    idempotency: memoryIdempotency(rows.idempotency, tx),
  }
}

function subscriptionStore(rows: Rows, tx: MemoryTransaction): SubscriptionStore {
  const table = new MemoryTable(rows.subscriptions, tx, {
    key: (row) => row.id,
    unique: [(row) => row.liveSlot && JSON.stringify([row.tenantId, row.liveSlot])],
  })
  return {
    insert: async (subscription) => table.insertUnlessExists(subscription),
    get: async (tenantId, id) => owned(table.get(id), tenantId),
    live: async (tenantId, slot) => table.find((row) => row.tenantId === tenantId && row.liveSlot === slot),
    lock: async (id) => table.get(id),
    update: async (subscription) => void table.replace(subscription),
    remove: async (id) => void table.delete(id),
    list: async (tenantId, { status }, slice) =>
      newestFirst(
        table.filter((row) => row.tenantId === tenantId && (status === undefined || row.status === status)),
        slice,
      ),
    due: async (now, { limit, after }) =>
      table
        .filter((row) => row.liveSlot !== null && row.currentPeriodEnd <= now && row.status !== 'incomplete')
        .filter((row) => !after || compare([row.currentPeriodEnd, row.id], after) > 0)
        .sort((a, b) => compare([a.currentPeriodEnd, a.id], [b.currentPeriodEnd, b.id]))
        .slice(0, limit),
  }
}

function invoiceStore(rows: Rows, tx: MemoryTransaction): InvoiceStore {
  const table = new MemoryTable(rows.invoices, tx, { key: (row) => row.id, unique: [(row) => row.periodKey] })
  const sequences = new MemoryTable(rows.sequences, tx, { key: (row) => row.name })
  return {
    insert: async (invoice) => table.insertUnlessExists(invoice),
    get: async (tenantId, id) => owned(table.get(id), tenantId),
    lock: async (id) => table.get(id),
    update: async (invoice) => void table.replace(invoice),
    remove: async (id) => void table.delete(id),
    list: async (tenantId, { status, subscriptionId }, slice) =>
      newestFirst(
        table.filter(
          (row) =>
            row.tenantId === tenantId &&
            (status === undefined || row.status === status) &&
            (subscriptionId === undefined || row.subscriptionId === subscriptionId),
        ),
        slice,
      ),
    openOf: async (subscriptionId) =>
      table.filter((row) => row.subscriptionId === subscriptionId && row.status === 'open').map((row) => row.id),
    scan: async (slice) =>
      oldestFirst(
        table.filter(() => true),
        slice,
      ),
    nextNumber: async (name) => {
      const value = (sequences.get(name)?.value ?? 0) + 1
      if (!sequences.insertUnlessExists({ name, value })) sequences.replace({ name, value })
      return value
    },
    numbering: async (name) => ({
      last: sequences.get(name)?.value ?? 0,
      numbered: table.filter((row) => row.number !== null).length,
    }),
  }
}

function owned<Row extends { tenantId: string }>(row: Row | null, tenantId: string): Row | null {
  return row?.tenantId === tenantId ? row : null
}

function oldestFirst<Row extends { id: string }>(rows: Row[], { limit, after }: Slice): Row[] {
  return rows
    .filter((row) => !after || row.id > after[0])
    .sort((a, b) => (a.id < b.id ? -1 : 1))
    .slice(0, limit)
}

function compare(a: readonly [number, string], b: readonly [number, string]): number {
  return a[0] - b[0] || (a[1] < b[1] ? -1 : a[1] > b[1] ? 1 : 0)
}
