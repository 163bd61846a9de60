import { coreErrors, IdParams, pageOf, type Route, route } from '@org/core'
import { webhooksErrors } from '../errors.js'
import { JobQuery, JobView, RecoverBody, RedriveBody } from './schema.js'
import type { Jobs, Recovery, Redriving } from './service.js'

const asked = { can: ['update', 'webhooks'], status: 202, idempotent: true, response: JobView } as const

export function jobRoutes(jobs: Jobs & Recovery & Redriving): Route[] {
  return [
    route({
      id: 'webhooks.recoverEndpoint',
      method: 'POST',
      path: '/endpoints/:id/recover',
      about: 'endpoint',
      summary: 'Send again what failed since a time',
      description: 'A worker does it part by part; the answer is the job, to look at.',
      ...asked,
      params: IdParams,
      body: RecoverBody,
      errors: [webhooksErrors.endpoint_disabled],
      handler: ({ params: { id }, body }, ctx) => jobs.recover(ctx, { ...body, endpointId: id }),
    }),
    route({
      id: 'webhooks.replayEndpoint',
      method: 'POST',
      path: '/endpoints/:id/replay',
      about: 'endpoint',
      summary: 'Send again everything since a time',
      description:
        'What the endpoint subscribes to now, also what never went to it. The answer is the job, to look at.',
      ...asked,
      params: IdParams,
      body: RecoverBody,
      errors: [webhooksErrors.endpoint_disabled],
      handler: ({ params: { id }, body }, ctx) => jobs.replay(ctx, { ...body, endpointId: id }),
    }),
    route({
      id: 'webhooks.redriveDeadLetters',
      method: 'POST',
      path: '/dead-letters/redrive',
      about: 'delivery',
      summary: 'Send dead letters again',
      description: "All of the tenant's unless told. A worker does it part by part; the answer is the job, to look at.",
      ...asked,
      body: RedriveBody,
      errors: [coreErrors.not_found, webhooksErrors.endpoint_disabled],
      handler: ({ body }, ctx) => jobs.redriveAll(ctx, body),
    }),
    route({
      id: 'webhooks.listJobs',
      method: 'GET',
      path: '/jobs',
      summary: 'List the jobs, the newest first',
      can: ['read', 'webhooks'],
      query: JobQuery,
      response: pageOf(JobView),
      handler: ({ query }, ctx) => jobs.list(ctx, query),
    }),
    route({
      id: 'webhooks.getJob',
      method: 'GET',
      path: '/jobs/:id',
      summary: 'Show a job and how far it is',
      can: ['read', 'webhooks'],
      params: IdParams,
      response: JobView,
      handler: ({ params: { id } }, ctx) => jobs.get(ctx, id),
    }),
    route({
      id: 'webhooks.cancelJob',
      method: 'POST',
      path: '/jobs/:id/cancel',
      summary: 'Stop a job; what it made due stays so',
      can: ['update', 'webhooks'],
      params: IdParams,
      response: JobView,
      errors: [webhooksErrors.job_ended],
      handler: ({ params: { id } }, ctx) => jobs.cancel(ctx, id),
    }),
  ]
}
