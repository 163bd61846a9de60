import { flag, integer, json, KnexTable, nullable, oneOf, text } from '@org/core/knex'
import type { Knex } from 'knex'
import type { Subscription } from '../../subscriptions/schema.js'
import type { SubscriptionStore } from '../../subscriptions/store.js'

export function knexSubscriptions(db: Knex, prefix: string): SubscriptionStore {
  const table = new KnexTable<Subscription>(db, `${prefix}subscriptions`, {
    id: text,
    tenantId: text,
    plan: text,
    interval: oneOf(),
    currency: text,
    amount: integer,
    status: oneOf(),
    anchor: integer,
    currentPeriodStart: integer,
    currentPeriodEnd: integer,
    cancelAtPeriodEnd: flag,
    scheduledChange: nullable(json()),
    canceledAt: nullable(integer),
    endedAt: nullable(integer),
    pastDueSince: nullable(integer),
    createdAt: integer,
    updatedAt: integer,
    liveSlot: nullable(text),
    billed: integer,
    billedInvoiceId: nullable(text),
    pendingInvoiceId: nullable(text),
  })
  return {
    insert: (subscription) => table.insertUnlessExists(subscription, ['tenantId', 'liveSlot']),
    get: (tenantId, id) => table.find({ tenantId, id }),
    live: (tenantId, liveSlot) => table.find({ tenantId, liveSlot }),
    lock: (tenantId, id) => table.lock({ tenantId, id }),
    update: async (subscription) => void (await table.update({ id: subscription.id }, subscription)),
    remove: async (id) => void (await table.remove({ id })),
    list: (tenantId, { status }, slice) =>
      table.newestFirst((query) => query.where(table.encode({ tenantId, ...(status && { status }) })), slice),
    due: (now, { limit, after }) =>
      table.all((query) => {
        query.whereNotNull('live_slot').where('current_period_end', '<=', now).whereNot('status', 'incomplete')
        if (after) query.whereRaw('(current_period_end, id) > (?, ?)', after)
        return query.orderBy(['current_period_end', 'id']).limit(limit)
      }),
  }
}
