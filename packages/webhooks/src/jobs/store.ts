import type { Slice } from '@org/core'
import type { JobFilter, StoredJob } from './schema.js'

/** Who takes a job, until when. */
export interface JobClaim {
  now: number
  token: string
  leaseUntil: number
}

export type JobPatch = Partial<
  Pick<
    StoredJob,
    | 'status'
    | 'processed'
    | 'affected'
    | 'skipped'
    | 'error'
    | 'reached'
    | 'leaseToken'
    | 'leaseUntil'
    | 'updatedAt'
    | 'endedAt'
  >
>

/** Jobs as one transaction sees them. Endpoints are locked before jobs, and those before deliveries. */
export interface JobStore {
  insert(job: StoredJob): Promise<void>
  get(tenantId: string, id: string): Promise<StoredJob | null>
  /** Reads it and locks it until the transaction ends. */
  lock(tenantId: string, id: string): Promise<StoredJob | null>
  /** The newest first. */
  list(tenantId: string, filter: JobFilter, slice: Slice): Promise<StoredJob[]>
  update(id: string, patch: JobPatch): Promise<void>
  /** Whether a job runs that nobody has leased. */
  anyToRun(now: number): Promise<boolean>
  /**
   * Leases the running job whose turn it is, of any tenant, and puts it behind the others; what is leased, or locked by
   * somebody, is left out. Answers it as it is then.
   */
  claim(request: JobClaim): Promise<StoredJob | null>
}

/** What a claim writes: a lease, and a place behind those that had their turns before, also within a millisecond. */
export function claimedJob(job: StoredJob, { now, token, leaseUntil }: JobClaim): StoredJob {
  return { ...job, leaseToken: token, leaseUntil, turnAt: Math.max(now, job.turnAt + 1) }
}
