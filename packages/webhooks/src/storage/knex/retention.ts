import { dialectOf, whereAmong } from '@org/core/knex'
import type { Knex } from 'knex'
import type { OldRequest, RetentionStore } from '../../retention/store.js'

/** How many ids one statement takes. */
const chunkSize = 500

/** Bodies may repeat the payload, and so may what a function of the host's has thrown. */
const forgotten = "response_body = null, detail = case when error = 'transform_failed' then null else detail end"

/** Every statement finds its rows by an index: messages by their ids, deliveries by their message, attempts by theirs. */
export function knexRetention(db: Knex, prefix: string): RetentionStore {
  const messages = `${prefix}messages`
  const deliveries = `${prefix}deliveries`
  const attempts = `${prefix}attempts`
  const jobs = `${prefix}jobs`

  async function idsOf(query: Knex.QueryBuilder): Promise<string[]> {
    const rows: { id: string }[] = await query
    return rows.map(({ id }) => id)
  }

  /** The next in the order of their ids, which is that of their making, until one is too young. */
  async function oldest(table: string, { after, limit, before }: OldRequest): Promise<string[]> {
    const rows: { id: string; made: unknown }[] = await db(table)
      .where('id', '>', after)
      .orderBy('id')
      .limit(limit)
      .select('id', { made: 'created_at' })
    const young = rows.findIndex(({ made }) => Number(made) >= before)
    return (young < 0 ? rows : rows.slice(0, young)).map(({ id }) => id)
  }

  function endedOf(messageIds: readonly string[], before: number): Knex.QueryBuilder {
    const stays = `select 1 from ${deliveries} d where d.message_id = ${messages}.id and (d.ended_at is null
      or d.ended_at >= ? or d.lease_until >= ? or d.status in ('pending', 'held', 'dead_letter'))`
    return whereAmong(db(messages), 'id', messageIds)
      .whereNull('fan_out_after')
      .whereRaw(`not exists (${stays})`, [before, before])
  }

  async function remove(table: string, column: string, ids: readonly string[]): Promise<number> {
    let removed = 0
    for (const chunk of chunksOf(ids)) removed += await whereAmong(db(table), column, chunk).delete()
    return removed
  }

  return {
    async ended(request) {
      const old = await oldest(messages, request)
      const last = old.at(-1) ?? null
      if (last === null) return { messageIds: [], last }
      const query = endedOf(old, request.before).orderBy('id').select('id')
      if (request.withPayload) query.whereNotNull('body')
      return { messageIds: await idsOf(dialectOf(db) === 'sqlite' ? query : query.forUpdate().skipLocked()), last }
    },

    endedAmong: (messageIds, before) => idsOf(endedOf(messageIds, before).select('id')),

    async setAside(request) {
      const { before, rows } = request
      const old = await oldest(messages, request)
      if (old.length === 0) return { deliveryIds: [], last: null }
      const forgotten =
        "((status = 'dead_letter' and coalesce(ended_at, due_at) < ?) or (status = 'held' and due_at < ?))"
      const query = whereAmong(db(deliveries), 'message_id', old).whereRaw(forgotten, [before, before])
      return { deliveryIds: await idsOf(query.limit(rows).select('id')), last: old.at(-1) ?? null }
    },

    async removeJobs(request) {
      const old = await oldest(jobs, request)
      if (old.length === 0) return { removed: 0, last: null }
      const removed = await whereAmong(db(jobs), 'id', old).where('ended_at', '<', request.before).delete()
      return { removed, last: old.at(-1) ?? null }
    },

    async countsOf(messageIds) {
      const rows: { of: string; deliveries: unknown }[] = await whereAmong(db(deliveries), 'message_id', messageIds)
        .groupBy('message_id')
        .select({ of: 'message_id' })
        .count({ deliveries: '*' })
      return new Map(rows.map((row) => [row.of, Number(row.deliveries)]))
    },

    deliveryIdsOf: (messageIds, limit) =>
      idsOf(whereAmong(db(deliveries), 'message_id', messageIds).limit(limit).select('id')),

    removeDeliveries: async (ids) => ({
      attempts: await remove(attempts, 'delivery_id', ids),
      deliveries: await remove(deliveries, 'id', ids),
    }),
    removeMessages: (ids) => remove(messages, 'id', ids),

    async forgetPayloads(messageIds) {
      let forgot = 0
      for (const chunk of chunksOf(messageIds)) {
        await forgetAttempts(chunk)
        forgot += await whereAmong(db(messages), 'id', chunk).whereNotNull('body').update({ body: null })
      }
      return forgot
    },
  }

  /** MySQL and MariaDB would look through all attempts for those of a subquery. */
  async function forgetAttempts(messageIds: readonly string[]): Promise<void> {
    const of = whereAmong(db(deliveries), 'message_id', messageIds).select('id')
    if (dialectOf(db) === 'mysql') {
      const among = messageIds.map(() => '?').join()
      const joined = `update ${attempts} join ${deliveries} d on d.id = delivery_id set ${forgotten} where d.message_id in`
      await db.raw(`${joined} (${among})`, [...messageIds])
    } else {
      await db.raw(`update ${attempts} set ${forgotten} where delivery_id in (?)`, [of])
    }
  }
}

function chunksOf(ids: readonly string[]): string[][] {
  const chunks: string[][] = []
  for (let start = 0; start < ids.length; start += chunkSize) chunks.push(ids.slice(start, start + chunkSize))
  return chunks
}
