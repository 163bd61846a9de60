/** Many deliveries sent again: asked for here, done by workers. */
import { checkId, checkScope, coreErrors, type Page, paginate, parse, type Scope } from '@org/core'
import type { Deps } from '../deps.js'
import { webhooksErrors } from '../errors.js'
import { Job, type JobKind, type JobParams, JobQuery, RecoverRequest, RedriveRequest } from './schema.js'
import { maxCounted, startJob } from './start.js'
import { tellOfJob } from './tell.js'
import type { Walk } from './walk.js'

/** What `webhooks.jobs` has. */
export interface Jobs {
  /** The newest first. */
  list(scope: Scope, query?: JobQuery): Promise<Page<Job>>
  /** How far it is. @throws ProblemError `not_found`. */
  get(scope: Scope, id: string): Promise<Job>
  /**
   * No further row is looked at; what was made due stays so. Waits for the turn under way.
   *
   * @throws ProblemError `not_found`; `job_ended` unless it runs.
   */
  cancel(scope: Scope, id: string): Promise<Job>
}

/** Sends again what went to one endpoint. Times are epoch milliseconds; `since` counts in, `until` does not. */
export interface Recovery {
  /**
   * Sends again what failed: dead letters created in that time, from the beginning of the schedule. Answers the job that
   * a worker does.
   *
   * @throws ProblemError `not_found`, `endpoint_disabled`; `invalid_input` for a time or an event type that is none.
   */
  recover(scope: Scope, request: RecoverRequest): Promise<Job>
  /**
   * Sends again every message published in that time that the endpoint subscribes to now, also what never went to it.
   * What is on its way already is left alone, and what was expunged is left out. Answers the job that a worker does.
   *
   * @throws ProblemError as `recover`.
   */
  replay(scope: Scope, request: RecoverRequest): Promise<Job>
}

/** What `webhooks.deadLetters` has of this. */
export interface Redriving {
  /**
   * Sends dead letters again, all of the tenant's unless told, from the beginning of the schedule. Answers the job that a
   * worker does. Those of endpoints that are disabled or deleted stay where they are.
   *
   * @throws ProblemError as `recover`, for the endpoint if one is given.
   */
  redriveAll(scope: Scope, request?: RedriveRequest): Promise<Job>
}

type JobDeps = Pick<Deps, 'storage' | 'runtime' | 'emit' | 'eventTypes' | 'wake'>

export function createJobs(deps: JobDeps, walks: Record<JobKind, Walk>): Jobs & Recovery & Redriving {
  const { storage, runtime, emit, eventTypes, wake } = deps
  const { clock } = runtime

  async function start(
    { tenantId, tx, ...scope }: Scope,
    kind: JobKind,
    { endpointId = null, since = null, until = null, eventTypes: types = null }: Partial<JobParams> & AboutEndpoint,
  ): Promise<Job> {
    const job = await storage.run(async (stores, joined) => {
      if (endpointId !== null) {
        const endpoint = await stores.endpoints.get(tenantId, endpointId)
        if (!endpoint) throw coreErrors.not_found()
        if (!endpoint.enabled) throw webhooksErrors.endpoint_disabled({ detail: 'Enable it before you send to it.' })
      }
      const errand = { kind, endpointId, params: { since, until, eventTypes: types } }
      const walk = { ...errand, tenantId, reached: null }
      const upTo = await walks[kind].end(stores, { ...walk, upTo: null })
      const count = await walks[kind].count(stores, { ...walk, upTo }, maxCounted + 1)
      return startJob(deps, { ...scope, tenantId }, { ...errand, upTo }, count, stores, joined)
    }, tx)
    wake()
    return Job.parse(job)
  }

  function startOfEndpoint(kind: 'recover' | 'replay', scope: Scope, request: RecoverRequest): Promise<Job> {
    checkScope(scope)
    const { eventTypes: types = null, until = null, ...rest } = parse(RecoverRequest, request)
    eventTypes.checkPatterns(types)
    return start(scope, kind, { ...rest, until, eventTypes: types })
  }

  return {
    recover: async (scope, request) => startOfEndpoint('recover', scope, request),
    replay: async (scope, request) => startOfEndpoint('replay', scope, request),

    async redriveAll(scope, request) {
      checkScope(scope)
      const { endpointId = null, eventType, since = null, until = null } = parse(RedriveRequest, request)
      const types = eventType === undefined ? null : [eventType]
      return start(scope, 'redrive', { endpointId, since, until, eventTypes: types })
    },

    async list(scope, query = {}) {
      const { tenantId, tx } = checkScope(scope)
      const { limit, cursor, ...filter } = parse(JobQuery, query)
      const page = await paginate(
        { limit, cursor },
        ['string'],
        (slice) => storage.read(({ jobs }) => jobs.list(tenantId, filter, slice), tx),
        (row) => [row.id],
      )
      return { ...page, data: page.data.map((row) => Job.parse(row)) }
    },

    async get(scope, id) {
      const { tenantId, tx } = checkScope(scope)
      checkId(id)
      const found = await storage.read(({ jobs }) => jobs.get(tenantId, id), tx)
      if (!found) throw coreErrors.not_found()
      return Job.parse(found)
    },

    async cancel(scope, id) {
      const { tenantId } = checkScope(scope)
      checkId(id)
      return storage.run(async ({ jobs }, tx) => {
        const found = await jobs.lock(tenantId, id)
        if (!found) throw coreErrors.not_found()
        if (found.status !== 'running') throw webhooksErrors.job_ended({ detail: `It is ${found.status}.` })
        const now = clock.now()
        const patch = { status: 'canceled', updatedAt: now, endedAt: now, leaseToken: null, leaseUntil: null } as const
        await jobs.update(id, patch)
        const canceled = { ...found, ...patch }
        await tellOfJob(emit, scope, 'job.canceled', canceled, tx)
        return Job.parse(canceled)
      }, scope.tx)
    },
  }
}

interface AboutEndpoint {
  endpointId?: string | null
}
