import { dialectOf, fieldsOf, integer, json, KnexTable, nullable, oneOf, text } from '@org/core/knex'
import type { Knex } from 'knex'
import type { JobError, JobKind, JobParams, JobStatus, Place, StoredJob } from '../../jobs/schema.js'
import { claimedJob, type JobStore } from '../../jobs/store.js'

const columns = fieldsOf<StoredJob>({
  id: text,
  tenantId: text,
  kind: oneOf<JobKind>(),
  status: oneOf<JobStatus>(),
  endpointId: nullable(text),
  params: json<JobParams>(),
  processed: integer,
  affected: integer,
  skipped: integer,
  total: nullable(integer),
  error: nullable(oneOf<JobError>()),
  reached: nullable(json<Place>()),
  upTo: nullable(json<Place>()),
  leaseToken: nullable(text),
  leaseUntil: nullable(integer),
  turnAt: integer,
  createdAt: integer,
  updatedAt: integer,
  endedAt: nullable(integer),
})

export function knexJobs(db: Knex, prefix: string): JobStore {
  const table = new KnexTable<StoredJob>(db, `${prefix}jobs`, columns)
  /** Written out, so that SQLite sees that the index over running jobs will do. */
  const toRun = (query: Knex.QueryBuilder, now: number) =>
    query.whereRaw("status = 'running'").whereRaw('(lease_until is null or lease_until <= ?)', [now])

  return {
    insert: (job) => table.insert(job),
    get: (tenantId, id) => table.find({ tenantId, id }),
    lock: (tenantId, id) => table.lock({ tenantId, id }),
    list: (tenantId, filter, slice) =>
      table.newestFirst((query) => query.where(table.encode({ ...(filter as Partial<StoredJob>), tenantId })), slice),
    update: async (id, patch) => void (await table.update({ id }, patch)),
    anyToRun: async (now) => (await table.query((query) => toRun(query, now).limit(1)).select('id')).length > 0,

    async claim(request) {
      const found = await table.find((query) => {
        toRun(query, request.now).orderBy('turn_at').orderBy('id')
        return dialectOf(db) === 'sqlite' ? query : query.forUpdate().skipLocked()
      })
      if (!found) return null
      const claimed = claimedJob(found, request)
      const { id, leaseToken, leaseUntil, turnAt } = claimed
      await table.update({ id }, { leaseToken, leaseUntil, turnAt })
      return claimed
    },
  }
}
