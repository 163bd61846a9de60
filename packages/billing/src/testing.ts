/**
 * `@org/billing/testing`: what a storage must do, as cases for any test runner. For people who write an adapter:
 *
 * ```ts
 * for (const { name, run } of storageContract) it(name, () => run(async () => ({ storage, transaction, close })))
 * ```
 */
import assert from 'node:assert/strict'
import { type ContractCase, contractCase } from '@org/core/testing'
import type { Customer } from './customers/schema.js'
import type { Invoice } from './invoices/schema.js'
import type { Payment } from './payments/schema.js'
import type { BillingStorage } from './storage/port.js'
import type { Subscription } from './subscriptions/schema.js'
import type { UsageEvent } from './usage/schema.js'

export { type FakeClock, fakeClock } from '@org/core/testing'

const time = Date.UTC(2026, 0, 31)

const customer: Customer = {
  id: 'cus_1',
  tenantId: 'a',
  email: 'a@example.com',
  name: null,
  paymentMethod: null,
  balance: 3,
  createdAt: time,
  updatedAt: time,
}

const subscription: Subscription = {
  id: 'sub_1',
  tenantId: 'a',
  plan: 'pro',
  interval: 'month',
  currency: 'usd',
  amount: 2 ** 40,
  status: 'active',
  anchor: time,
  currentPeriodStart: time,
  currentPeriodEnd: time + 1000,
  cancelAtPeriodEnd: true,
  scheduledChange: { plan: 'starter', interval: 'year' },
  canceledAt: time,
  endedAt: null,
  pastDueSince: null,
  createdAt: time,
  updatedAt: time,
  liveSlot: 'main',
  billed: 5,
  billedInvoiceId: null,
  pendingInvoiceId: 'inv_1',
}

const invoice: Invoice = {
  id: 'inv_1',
  tenantId: 'a',
  subscriptionId: 'sub_1',
  number: null,
  status: 'draft',
  reason: 'subscription_create',
  currency: 'usd',
  lines: [
    {
      kind: 'plan',
      description: 'Größe „x“, one month',
      plan: 'pro',
      meter: null,
      quantity: 1,
      amount: -7,
      pricing: [],
      periodStart: time,
      periodEnd: time + 1000,
    },
  ],
  total: -7,
  balanceApplied: -7,
  amountDue: 0,
  amountPaid: 0,
  periodStart: time,
  periodEnd: time + 1000,
  finalizedAt: null,
  paidAt: null,
  voidedAt: null,
  createdAt: time,
  updatedAt: time,
  change: null,
  periodKey: 'sub_1:1',
}

const payment: Payment = {
  id: 'pay_1',
  tenantId: 'a',
  invoiceId: 'inv_1',
  attempt: 1,
  status: 'pending',
  amount: 10,
  currency: 'usd',
  paymentMethod: 'pm_1',
  idempotencyKey: 'charge:inv_1:1',
  reference: null,
  declineCode: null,
  createdAt: time,
  settledAt: null,
}

const key = { tenantId: 'a', holder: 'default', meter: 'requests', windowStart: time }

const use = (id: string, more: Partial<UsageEvent> = {}): UsageEvent => {
  const event = { ...key, id, quantity: 2, idempotencyKey: id, time, createdAt: time }
  return { ...event, ...more }
}

/** Every storage of `@org/billing` passes these. */
export const storageContract: readonly ContractCase<BillingStorage>[] = [
  contractCase('rows come back as they went in', async ({ storage }) => {
    await storage.run(async (stores) => {
      assert.equal(await stores.customers.insertOrFind(customer), null)
      assert.deepEqual(await stores.customers.insertOrFind({ ...customer, id: 'cus_2', balance: 0 }), customer)
      assert.equal(await stores.subscriptions.insert(subscription), true)
      assert.equal(await stores.invoices.insert(invoice), true)
      await stores.payments.insert(payment)
      assert.equal(await stores.usage.addEvent(use('use_1')), null)
    })
    await storage.read(async (stores) => {
      assert.deepEqual(await stores.customers.get('a'), customer)
      assert.deepEqual(await stores.subscriptions.get('a', 'sub_1'), subscription)
      assert.deepEqual(await stores.invoices.get('a', 'inv_1'), invoice)
      assert.deepEqual(await stores.payments.pending(time, { limit: 9, after: null }), [payment])
      assert.deepEqual(await stores.usage.getEvent('a', 'use_1'), use('use_1'))
    })
  }),

  contractCase(
    'another tenant’s rows are not there, nor those of a tenant whose name differs in case',
    async ({ storage }) => {
      await storage.run(async (stores) => {
        await stores.subscriptions.insert(subscription)
        await stores.invoices.insert(invoice)
        await stores.usage.addEvent(use('use_1'))
      })
      for (const tenant of ['b', 'A']) {
        await storage.run(async (stores) => {
          assert.equal(await stores.subscriptions.get(tenant, 'sub_1'), null)
          assert.equal(await stores.subscriptions.live(tenant, 'main'), null)
          assert.equal(await stores.invoices.get(tenant, 'inv_1'), null)
          assert.equal(await stores.subscriptions.lock(tenant, 'sub_1'), null)
          assert.equal(await stores.invoices.lock(tenant, 'inv_1'), null)
          assert.equal(await stores.usage.getEvent(tenant, 'use_1'), null)
          assert.deepEqual(await stores.invoices.list(tenant, {}, { limit: 9, after: null }), [])
        })
      }
    },
  ),

  contractCase('unique keys: one customer, one live subscription, one invoice a period', async ({ storage }) => {
    await storage.run(async (stores) => {
      await stores.subscriptions.insert(subscription)
      assert.equal(await stores.subscriptions.insert({ ...subscription, id: 'sub_2' }), false)
      assert.equal(await stores.subscriptions.insert({ ...subscription, id: 'sub_3', liveSlot: null }), true)
      assert.equal(await stores.subscriptions.insert({ ...subscription, id: 'sub_4', liveSlot: null }), true)
      assert.equal(await stores.subscriptions.insert({ ...subscription, id: 'sub_5', tenantId: 'b' }), true)
      await stores.subscriptions.update({ ...subscription, liveSlot: null })
      assert.equal(await stores.subscriptions.insert({ ...subscription, id: 'sub_6' }), true)
      await stores.invoices.insert(invoice)
      assert.equal(await stores.invoices.insert({ ...invoice, id: 'inv_2' }), false)
      assert.equal(await stores.invoices.insert({ ...invoice, id: 'inv_3', periodKey: null }), true)
      assert.equal(await stores.invoices.insert({ ...invoice, id: 'inv_4', periodKey: null }), true)
    })
  }),

  contractCase(
    'what is due comes in order, page by page; what ended or is incomplete does not',
    async ({ storage }) => {
      await storage.run(async (stores) => {
        const row = (id: string, currentPeriodEnd: number, more: Partial<Subscription> = {}) =>
          stores.subscriptions.insert({ ...subscription, id, tenantId: id, currentPeriodEnd, ...more })
        await row('c', 10)
        await row('b', 10)
        await row('a', 20)
        await row('d', 21)
        await row('e', 5, { liveSlot: null })
        await row('f', 5, { status: 'incomplete' })
        const first = await stores.subscriptions.due(20, { limit: 2, after: null })
        assert.deepEqual(
          first.map((found) => found.id),
          ['b', 'c'],
        )
        const rest = await stores.subscriptions.due(20, { limit: 2, after: [10, 'c'] })
        assert.deepEqual(
          rest.map((found) => found.id),
          ['a'],
        )
      })
    },
  ),

  contractCase('numbers follow one another, and a rollback gives its number back', async ({ storage, transaction }) => {
    const next = () => storage.run((stores) => stores.invoices.nextNumber('invoice'))
    assert.deepEqual([await next(), await next()], [1, 2])
    const rolledBack = transaction(async (tx) => {
      assert.equal(await storage.run((stores) => stores.invoices.nextNumber('invoice'), tx), 3)
      throw new Error('rolled back')
    })
    await assert.rejects(rolledBack, /rolled back/)
    assert.equal(await next(), 3)
    assert.equal(await storage.run((stores) => stores.invoices.nextNumber('credit_note')), 1)
  }),

  contractCase('a payment is settled once', async ({ storage }) => {
    const outcome = { status: 'succeeded', reference: 'x', declineCode: null, settledAt: time } as const
    await storage.run(async (stores) => {
      await stores.payments.insert(payment)
      assert.equal(await stores.payments.settle('pay_1', outcome), true)
      assert.equal(await stores.payments.settle('pay_1', { ...outcome, status: 'declined' }), false)
      assert.deepEqual(await stores.payments.of('inv_1'), [{ ...payment, ...outcome }])
      assert.deepEqual(await stores.payments.pending(time, { limit: 9, after: null }), [])
      await stores.payments.removeOf('inv_1')
      assert.deepEqual(await stores.payments.of('inv_1'), [])
    })
  }),

  contractCase('a counter takes what fits, in one step, until it is closed', async ({ storage }) => {
    await storage.run(async ({ usage }) => {
      assert.equal(await usage.counter(key), null)
      assert.equal(await usage.consume(key, 11, 10), null)
      assert.equal((await usage.consume(key, 4, 10))?.used, 4)
      assert.equal((await usage.consume(key, 6, 10))?.used, 10)
      assert.equal(await usage.consume(key, 1, 10), null)
      assert.equal((await usage.consume(key, 5, null))?.used, 15)
      assert.equal(await usage.release(key, 3), true)
      await usage.mark(key, { markedLimit: 10, alerted: 0.8, exceeded: true })
      const counter = { ...key, used: 12, closed: false, markedLimit: 10, alerted: 0.8, exceeded: true }
      assert.deepEqual(await usage.counter(key), counter)
      assert.deepEqual(await usage.counters({ tenantId: 'a', holder: 'default', windowStart: time }), [counter])
      assert.equal(await usage.close(key), 12)
      assert.equal(await usage.consume(key, 1, null), null)
      assert.equal(await usage.release(key, 1), false)
      // A window that nobody has used is closed as well.
      assert.equal(await usage.close({ ...key, holder: 'sub_1' }), 0)
      assert.equal(await usage.consume({ ...key, holder: 'sub_1' }, 1, null), null)
    })
  }),

  contractCase('a key counts once for a tenant and meter', async ({ storage }) => {
    await storage.run(async ({ usage }) => {
      assert.equal(await usage.addEvent(use('1', { idempotencyKey: 'k' })), null)
      assert.equal((await usage.addEvent(use('2', { idempotencyKey: 'k' })))?.id, '1')
      const found = await usage.eventsOf([use('2', { idempotencyKey: 'k' }), use('none')])
      assert.deepEqual(found, [use('1', { idempotencyKey: 'k' })])
      assert.equal(await usage.addEvent(use('3', { idempotencyKey: 'k', meter: 'emails' })), null)
      assert.equal(await usage.addEvent(use('4', { idempotencyKey: 'k', tenantId: 'b' })), null)
      const batch = [use('5'), use('6', { idempotencyKey: 'k' }), use('7'), use('8', { idempotencyKey: '7' })]
      assert.deepEqual(await usage.addEvents(batch), new Set(['5', '7']))
      assert.equal(await usage.removeEvent('1'), true)
      assert.equal(await usage.removeEvent('1'), false)
      assert.equal(await usage.addEvent(use('9', { idempotencyKey: 'k' })), null)
    })
  }),

  contractCase('recounting finds a counter that is not the sum of its events', async ({ storage }) => {
    await storage.run(async ({ usage }) => {
      await usage.addEvents([use('1'), use('2'), use('3', { tenantId: 'b' })])
      await usage.consume(key, 4, null)
      await usage.consume({ ...key, tenantId: 'b' }, 3, null)
      const first = await usage.recount(null, 10)
      assert.equal(first.checked, 2)
      const wrong = [{ ...key, tenantId: 'b', counted: 3, recorded: 2 }]
      assert.deepEqual([first.wrong, first.next], [wrong, null])
      assert.deepEqual(await usage.recount(key, 10), { checked: 1, wrong, next: null })
    })
  }),

  contractCase(
    'an error undoes the work and leaves the host’s transaction usable',
    async ({ storage, transaction }) => {
      await transaction(async (tx) => {
        const failing = storage.run(async (stores) => {
          await stores.usage.consume(key, 5, null)
          throw new Error('no')
        }, tx)
        await assert.rejects(failing, /no/)
        await storage.run((stores) => stores.usage.consume(key, 1, null), tx)
      })
      assert.equal((await storage.read((stores) => stores.usage.counter(key)))?.used, 1)
    },
  ),
]
