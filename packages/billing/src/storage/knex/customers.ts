import { integer, KnexTable, nullable, text } from '@org/core/knex'
import type { Knex } from 'knex'
import type { Customer } from '../../customers/schema.js'
import type { CustomerStore } from '../../customers/store.js'

export function knexCustomers(db: Knex, prefix: string): CustomerStore {
  const table = new KnexTable<Customer>(db, `${prefix}customers`, {
    id: text,
    tenantId: text,
    email: nullable(text),
    name: nullable(text),
    paymentMethod: nullable(text),
    balance: integer,
    createdAt: integer,
    updatedAt: integer,
  })
  return {
    insertOrFind: (customer) => table.insertOrFind(customer, ['tenantId']),
    get: (tenantId) => table.find({ tenantId }),
    lock: (tenantId) => table.lock({ tenantId }),
    update: async (customer) => void (await table.update({ tenantId: customer.tenantId }, customer)),
  }
}
