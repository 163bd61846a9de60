/** The claim in SQL. */
import { dialectOf, type KnexTable } from '@org/core/knex'
import { leased, takeWithRoom } from '../../deliveries/claim.js'
import type { StoredDelivery } from '../../deliveries/schema.js'
import type { Claimed, ClaimRequest } from '../../deliveries/store.js'

/** How often one claim looks again because what it found first belonged to endpoints without room. */
const maxRounds = 8

/**
 * Reads the due rows with `FOR UPDATE SKIP LOCKED` and leases them. An endpoint without room is left out of the next
 * round, so that its backlog cannot hide what others have due. SQLite has one writer and needs no row locks.
 */
export async function claimDue(table: KnexTable<StoredDelivery>, request: ClaimRequest): Promise<Claimed> {
  const load = new Map(request.inFlight)
  const claimed: Claimed = { deliveries: [], expired: [] }
  for (let round = 0; round < maxRounds && claimed.deliveries.length < request.limit; round++) {
    const wanted = request.limit - claimed.deliveries.length
    const rows = await lockDue(table, request, wanted, load)
    const taken = takeWithRoom(rows, load, request.perEndpoint)
    await lease(table, request, taken)
    claimed.deliveries.push(...taken.map((row) => leased(row, request)))
    claimed.expired.push(...taken.filter((row) => row.leaseToken !== null))
    if (rows.length < wanted) break
  }
  return claimed
}

function lockDue(
  table: KnexTable<StoredDelivery>,
  { dueBy, perEndpoint }: ClaimRequest,
  limit: number,
  load: ReadonlyMap<string, number>,
): Promise<StoredDelivery[]> {
  const full = [...load].filter(([, count]) => count >= perEndpoint).map(([id]) => id)
  return table.all((query) => {
    query.where('status', 'pending').where('due_at', '<=', dueBy)
    if (full.length > 0) query.whereNotIn('endpoint_id', full)
    query.orderBy('due_at').limit(limit)
    return dialectOf(table.db) === 'sqlite' ? query : query.forUpdate().skipLocked()
  })
}

async function lease(table: KnexTable<StoredDelivery>, request: ClaimRequest, rows: StoredDelivery[]): Promise<void> {
  if (rows.length === 0) return
  const { db } = table
  const ids = rows.map((row) => row.id)
  await table
    .query((query) => query.whereIn('id', ids))
    .update({
      attempts: db.raw('attempts + 1'),
      step: db.raw('step + 1'),
      ...table.encode({ leaseToken: request.token, dueAt: request.leaseUntil }),
    })
}
