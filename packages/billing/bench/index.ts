import { createBilling, defineCatalog } from '@org/billing'
import { knexStorage, migrate } from '@org/billing/knex'
import { inTransactions } from '../../core/bench/databases.js'
import type { Comparison } from '../../core/bench/harness.js'
import { silent } from '../../core/bench/http.js'

const catalog = defineCatalog({
  currency: 'usd',
  features: {},
  meters: { requests: {} },
  plans: { free: { name: 'Free', rank: 0, meters: { requests: { included: 1_000_000_000, limit: 'hard' } } } },
  defaultPlan: 'free',
})

/** One use checked, counted and kept in the host's transaction, against a row and a conditional update by hand. */
export const comparisons: Comparison[] = await inTransactions(
  { bench: 'billing/usage-record', subject: 'usage.record(…, { tx })', reference: 'insert and conditional update' },
  async ({ knex }) => {
    await migrate(knex)
    await knex.schema.createTable('uses', (table) => {
      table.string('id', 64).primary()
      table.bigInteger('quantity')
    })
    await knex.schema.createTable('counters', (table) => {
      table.string('id', 64).primary()
      table.bigInteger('used')
    })
    await knex('counters').insert({ id: 'acme', used: 0 })
    const billing = createBilling({ logger: silent, catalog, storage: knexStorage(knex) })
    let n = 0
    return {
      subject: (tx) => billing.usage.record({ tenantId: 'acme', meter: 'requests', idempotencyKey: `k${n++}` }, { tx }),
      async reference(tx) {
        await tx('uses').insert({ id: `k${n++}`, quantity: 1 })
        await tx('counters').where({ id: 'acme' }).where('used', '<', 1_000_000_000).increment('used', 1)
      },
    }
  },
)
