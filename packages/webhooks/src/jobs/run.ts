/**
 * What workers do of jobs: a turn at a time. A short transaction leases the job; a second one does the turn, and moves
 * the job's place and counts with it. A crash undoes all of a turn or nothing.
 */
import { systemActor, type Tx } from '@org/core'
import type { Deps } from '../deps.js'
import type { WebhooksStores } from '../storage/port.js'
import type { JobKind, StoredJob } from './schema.js'
import type { JobPatch } from './store.js'
import { tellOfJob } from './tell.js'
import type { Walk } from './walk.js'

/** How long a job rests whose turn failed, or whose worker was lost, in milliseconds; the others go on meanwhile. */
const leaseMs = 30_000

export interface JobRunner {
  /** Does a turn of the job whose turn it is. Answers whether there was any. */
  goOn(): Promise<boolean>
}

export function createJobRunner(
  { storage, runtime, emit, wake }: Pick<Deps, 'storage' | 'runtime' | 'emit' | 'wake'>,
  walks: Record<JobKind, Walk>,
): JobRunner {
  const { clock, id: makeId } = runtime

  /** Answers the endpoints that have something due now. */
  async function turn(stores: WebhooksStores, claimed: StoredJob, tx: Tx): Promise<string[]> {
    const { id, tenantId, endpointId } = claimed
    // Endpoints are locked first, as everywhere: one job at a time makes deliveries for each.
    const endpoint = endpointId === null ? null : await stores.endpoints.lock(tenantId, endpointId)
    const job = await stores.jobs.lock(tenantId, id)
    // Somebody canceled it, or took it over from one who was slow.
    if (job?.status !== 'running' || job.leaseToken !== claimed.leaseToken) return []
    if (endpointId !== null && endpoint === null) {
      await save(stores, job, { status: 'failed', error: 'endpoint_deleted' }, tx)
      return []
    }
    const done = await walks[job.kind].turn(stores, job, endpoint)
    const counts = {
      processed: job.processed + done.processed,
      affected: job.affected + done.affected,
      skipped: job.skipped + done.skipped,
    }
    if (done.reached) await save(stores, job, { ...counts, reached: done.reached }, tx)
    else await save(stores, job, { ...counts, status: 'done' }, tx)
    return done.endpointIds
  }

  async function save({ jobs }: WebhooksStores, job: StoredJob, patch: JobPatch, tx: Tx): Promise<void> {
    const now = clock.now()
    const ended = patch.status === undefined ? {} : { endedAt: now }
    const whole = { ...patch, ...ended, leaseToken: null, leaseUntil: null, updatedAt: now }
    await jobs.update(job.id, whole)
    if (patch.status === undefined) return
    const type = patch.status === 'failed' ? 'job.failed' : 'job.completed'
    await tellOfJob(emit, { tenantId: job.tenantId, actor: systemActor }, type, { ...job, ...whole }, tx)
  }

  return {
    async goOn() {
      const now = clock.now()
      // Most polls find none, and need no transaction for that.
      if (!(await storage.read(({ jobs }) => jobs.anyToRun(now)))) return false
      const lease = { now, token: makeId('lease'), leaseUntil: now + leaseMs }
      const claimed = await storage.run(({ jobs }) => jobs.claim(lease))
      if (!claimed) return false
      wake(await storage.run((stores, tx) => turn(stores, claimed, tx)))
      return true
    },
  }
}
