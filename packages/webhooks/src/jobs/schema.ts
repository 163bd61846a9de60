import { Id, PageQuery, Time, TimeParam, TimeView } from '@org/core'
import { z } from 'zod'
import { DeliveryFilter } from '../deliveries/schema.js'

/**
 * - `recover`: what failed of an endpoint is sent again
 * - `replay`: all that an endpoint subscribes to is sent again
 * - `redrive`: dead letters are sent again
 * - `release`: what was held while an endpoint was disabled is sent; whoever enables one starts it, if it is much
 */
export const JobKind = z.enum(['recover', 'replay', 'redrive', 'release'])
export type JobKind = z.infer<typeof JobKind>

export const JobStatus = z.enum(['running', 'done', 'canceled', 'failed'])
export type JobStatus = z.infer<typeof JobStatus>

/** Why a job failed. */
export const JobError = z.enum(['endpoint_deleted'])
export type JobError = z.infer<typeof JobError>

/** What it was asked for; null for no bound. `since` counts in, `until` does not. */
const JobParams = z.object({
  since: Time.nullable(),
  until: Time.nullable(),
  eventTypes: z.array(z.string()).nullable(),
})
export type JobParams = z.infer<typeof JobParams>

/** Many deliveries sent again, a part at a time. */
export const Job = z.object({
  id: z.string(),
  kind: JobKind,
  status: JobStatus,
  /** Null for those of all endpoints. */
  endpointId: z.string().nullable(),
  params: JobParams,
  /** How many rows were looked at. */
  processed: z.int(),
  /** How many of them are sent again. */
  affected: z.int(),
  /** How many were asked for and left out: expunged, on their way already, or of an endpoint that takes none. */
  skipped: z.int(),
  /** How many rows there were to look at when it was asked for; null if they were too many to count. */
  total: z.int().nullable(),
  error: JobError.nullable(),
  createdAt: Time,
  updatedAt: Time,
  endedAt: Time.nullable(),
})
export type Job = z.infer<typeof Job>

/** A row in the order of a walk: by id for deliveries, by time and id for messages. */
export interface Place {
  createdAt: number
  id: string
}

/** A job as it is stored. */
export type StoredJob = Job & {
  tenantId: string
  /** The last row that was looked at; null before the first. */
  reached: Place | null
  /** The last row that is part of it; null if there was none. */
  upTo: Place | null
  /** Who is at it, until when. A turn takes this very token. */
  leaseToken: string | null
  leaseUntil: number | null
  /** Whose is the lowest has the next turn: when it had its last, or just after that. */
  turnAt: number
}

const inOrder = ({ since, until }: { since?: number | undefined; until?: number | undefined }) =>
  since === undefined || until === undefined || since < until
const notInOrder = { path: ['until'], message: 'must be later than `since`' }

/** Names and wildcards, as an endpoint subscribes to. */
const Patterns = z.array(z.string().min(1).max(128)).min(1, 'list at least one event type, or leave it out').max(200)

const range = { since: Time, until: Time.optional(), eventTypes: Patterns.optional() }
const rangeBody = { since: TimeParam, until: TimeParam.optional(), eventTypes: Patterns.optional() }
const deadLetters = { endpointId: Id.optional(), eventType: DeliveryFilter.shape.eventType }

/** Which of an endpoint's deliveries, or messages: times in epoch milliseconds, event types by name or wildcard. */
export const RecoverRequest = z.strictObject({ endpointId: Id, ...range }).refine(inOrder, notInOrder)
export type RecoverRequest = z.input<typeof RecoverRequest>

/** Which dead letters; all of the tenant's unless told. Times in epoch milliseconds. */
export const RedriveRequest = z
  .strictObject({ ...deadLetters, since: Time.optional(), until: Time.optional() })
  .refine(inOrder, notInOrder)
  .prefault({})
export type RedriveRequest = z.input<typeof RedriveRequest>

/** The same over HTTP. */
export const RecoverBody = z.strictObject(rangeBody)
export const RedriveBody = z
  .strictObject({ ...deadLetters, since: TimeParam.optional(), until: TimeParam.optional() })
  .prefault({})

export const JobFilter = z.strictObject({ status: JobStatus.optional(), endpointId: Id.optional() })
export type JobFilter = z.infer<typeof JobFilter>

export const JobQuery = PageQuery.extend(JobFilter.shape)
export type JobQuery = z.input<typeof JobQuery>

export const JobView = Job.extend({
  params: JobParams.extend({ since: TimeView.nullable(), until: TimeView.nullable() }),
  createdAt: TimeView,
  updatedAt: TimeView,
  endedAt: TimeView.nullable(),
}).meta({ id: 'WebhookJob' })
