/** The delivery log in the order of its ids. */
import { dialectOf, type KnexTable } from '@org/core/knex'
import type { Knex } from 'knex'
import type { DeliveryFilter, StoredDelivery } from '../../deliveries/schema.js'
import type { DeliverySlice, DeliveryStore } from '../../deliveries/store.js'

/**
 * Every delivered row would be written to a further index, so that there is none for rare filters: what no index finds is
 * looked for among so many rows.
 */
export function deliveryLists(table: KnexTable<StoredDelivery>): Pick<DeliveryStore, 'list' | 'lookDownTo'> {
  const { db, name } = table
  const mysql = dialectOf(db) === 'mysql'

  /** The part of the filter that an index finds in the order of ids. */
  function indexed({ endpointId, messageId, status }: DeliveryFilter): Partial<StoredDelivery> {
    if (messageId !== undefined) return { messageId }
    const of = endpointId === undefined ? {} : { endpointId }
    // MySQL and MariaDB have each status of a tenant in that index, and none of an endpoint.
    const byStatus = mysql ? endpointId === undefined : status === 'dead_letter' || status === 'held'
    return byStatus && status !== undefined ? { ...of, status } : of
  }

  /** MySQL and MariaDB take any index that begins with a column that is asked for, or two, and sort what they find. */
  function source({ endpointId, messageId, status }: Partial<StoredDelivery>): Knex.QueryBuilder {
    if (!mysql) return db(name)
    const index = messageId ? 'message' : endpointId ? 'endpoint' : status ? 'set_aside' : 'tenant'
    return db.from(db.raw('?? force index (??)', [name, `${name}_${index}`]))
  }

  function rows(tenantId: string, by: Partial<StoredDelivery>, { after, from }: DeliverySlice): Knex.QueryBuilder {
    const query = source(by).where(table.encode(by))
    // What is narrower than the tenant must not be looked for among all that the tenant has: SQLite cannot tell.
    const narrow = by.endpointId !== undefined || by.messageId !== undefined
    if (narrow && dialectOf(db) === 'sqlite') query.whereRaw('+tenant_id = ?', [tenantId])
    else query.where('tenant_id', tenantId)
    // The condition of the index is written out: SQLite takes it only then.
    if (by.status !== undefined && !mysql) query.whereRaw("status in ('dead_letter', 'held')")
    if (after) query.where('id', '<', after[0])
    if (from) query.where('id', '>=', from)
    return query.orderBy('id', 'desc')
  }

  return {
    async list(tenantId, { since, until, ...filter }, slice) {
      const query = rows(tenantId, indexed(filter), slice).where(table.encode(filter as Partial<StoredDelivery>))
      if (since !== undefined) query.where('created_at', '>=', since)
      if (until !== undefined) query.where('created_at', '<', until)
      const found: Record<string, unknown>[] = await query.limit(slice.limit).select('*')
      return found.map((row) => table.decode(row))
    },

    async lookDownTo(tenantId, filter, slice) {
      const by = indexed(filter)
      const asked = Object.entries(filter).filter(([, value]) => value !== undefined)
      if (by.messageId !== undefined || asked.every(([name]) => name in by)) return null
      const found = rows(tenantId, by, slice)
        .offset(slice.limit - 1)
        .limit(1)
      const [last]: { id: string }[] = await found.select('id')
      return last?.id ?? null
    },
  }
}
