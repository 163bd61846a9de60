/** What the host hears of a job. */
import type { Scope, Tx } from '@org/core'
import type { Deps } from '../deps.js'
import type { webhooksEvents } from '../events.js'
import type { StoredJob } from './schema.js'

export type JobEvent = keyof typeof webhooksEvents & `job.${string}`

/** Within the transaction of what it tells. */
export function tellOfJob(emit: Deps['emit'], scope: Scope, type: JobEvent, job: StoredJob, tx: Tx): Promise<void> {
  const { id, kind, endpointId, processed, affected, skipped, error } = job
  const data = { jobId: id, kind, endpointId, processed, affected, skipped, error }
  return emit(scope, { type, resource: { type: 'job', id }, data }, tx)
}
