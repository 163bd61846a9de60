/** How a job comes to be, within the transaction of whoever asks for it. */
import type { Scope, Tx } from '@org/core'
import type { Deps } from '../deps.js'
import type { WebhooksStores } from '../storage/port.js'
import type { StoredJob } from './schema.js'
import { tellOfJob } from './tell.js'
import type { Errand } from './walk.js'

/** No more rows than that are counted beforehand. */
export const maxCounted = 100_000

/** `count` is how many rows it has to look at, counted no further than one more than {@link maxCounted}. */
export async function startJob(
  { runtime, emit }: Pick<Deps, 'runtime' | 'emit'>,
  scope: Scope,
  errand: Omit<Errand, 'tenantId' | 'reached'>,
  count: number,
  stores: WebhooksStores,
  tx: Tx,
): Promise<StoredJob> {
  const now = runtime.clock.now()
  const made: StoredJob = {
    ...errand,
    id: runtime.id('job'),
    tenantId: scope.tenantId,
    status: 'running',
    reached: null,
    processed: 0,
    affected: 0,
    skipped: 0,
    total: count > maxCounted ? null : count,
    error: null,
    leaseToken: null,
    leaseUntil: null,
    turnAt: now,
    createdAt: now,
    updatedAt: now,
    endedAt: null,
  }
  await stores.jobs.insert(made)
  await tellOfJob(emit, scope, 'job.started', made, tx)
  return made
}
