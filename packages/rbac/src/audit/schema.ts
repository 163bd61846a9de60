import { Actor, ExternalId, PageQuery, Text, Time, TimeParam, TimeView } from '@org/core'
import { z } from 'zod'

/** How it ended: done, refused for want of a right, or failed. */
export const Outcome = z.enum(['success', 'denied', 'failure'])
export type Outcome = z.infer<typeof Outcome>

const Action = Text.min(1).max(128)
/** What an entry is about: `{ type: 'key', id: 'key_1' }`. */
export const AuditResource = z.object({ type: Text.min(1).max(64), id: Text.min(1).max(255) })
export type AuditResource = z.infer<typeof AuditResource>

/** What an entry says, as JSON has it. */
export const Plain = z.record(z.string(), z.unknown())
export type Plain = z.infer<typeof Plain>

/** The two parts of an entry that may hold personal data: who did it from where, and what it was done to. */
export const AuditPart = z.enum(['who', 'what'])
export type AuditPart = z.infer<typeof AuditPart>

/** What stands in the place of an erased actor's id. */
export const erasedId = '[erased]'

/**
 * Somebody did something to something. Entries are never changed; only their personal parts can be erased, which shows
 * in `erased` (left out otherwise): the actor's id is then `[erased]`, or targets and data are empty.
 */
export const AuditEntry = z.object({
  id: z.string(),
  /** The domain event that it records; null for an entry of the host's own `audit.log`. */
  eventId: z.string().nullable(),
  tenantId: z.string(),
  time: Time,
  actor: Actor,
  /** Dotted, like an event type: `key.created`. */
  action: z.string(),
  /** The first of the targets. */
  resource: AuditResource.nullable(),
  /** All that it was done to. */
  targets: z.array(AuditResource),
  outcome: Outcome,
  data: Plain,
  before: Plain.nullable(),
  after: Plain.nullable(),
  ip: z.string().nullable(),
  userAgent: z.string().nullable(),
  requestId: z.string().nullable(),
  erased: z.array(AuditPart).optional(),
})
export type AuditEntry = z.infer<typeof AuditEntry>

/** As it leaves over HTTP. */
export const AuditEntryView = AuditEntry.omit({ tenantId: true })
  .extend({ time: TimeView })
  .meta({ id: 'RbacAuditEntry' })

/**
 * What the host logs by itself. A request context spreads into it: `{ ...contextOf(req), action: 'report.exported' }`;
 * what an entry has no field for is left out.
 */
export const LogAuditEntry = z.object({
  /** The tenant `default` unless told. */
  tenantId: ExternalId.optional(),
  /** The host's own code (`system`) unless told. */
  actor: Actor.optional(),
  action: Action,
  /** Short for a first target. */
  resource: AuditResource.nullish(),
  targets: z.array(AuditResource).max(100).optional(),
  /** `success` unless told. */
  outcome: Outcome.optional(),
  /**
   * Plain data: dates become text, what JSON does not know is dropped, a BigInt or a loop is refused. Whoever may read
   * the log reads it: fields with the names of secrets come out as `[redacted]`, see `AuditOptions.redact`.
   */
  data: Plain.optional(),
  before: Plain.nullish(),
  after: Plain.nullish(),
  ip: Text.nullish(),
  userAgent: Text.nullish(),
  requestId: Text.nullish(),
})
export type LogAuditEntry = z.input<typeof LogAuditEntry>

/** A domain event as the log takes it. Nothing that says whose it is or when it was may be missing. */
export const RecordedEvent = LogAuditEntry.omit({ action: true }).extend({
  id: Text.min(1).max(128),
  type: Action,
  tenantId: ExternalId,
  // RFC 3339, as the log is shown, has no year 10000.
  time: Time.min(0).max(253_402_300_799_999),
})

const filters = {
  /** The actor's id. */
  user: ExternalId.optional(),
  /** `key.created`, or `key.*` for all that begin with `key.`. */
  action: Action.optional(),
  /** Of any of the targets. */
  resourceType: AuditResource.shape.type.optional(),
  resourceId: AuditResource.shape.id.optional(),
  outcome: Outcome.optional(),
  requestId: Text.min(1).max(255).optional(),
  /** Any part of the action, the actor's id, the targets, `data`, `before` or `after`, in either case of letters. */
  text: Text.min(1).max(200).optional(),
}

const times = {
  /** At this time or later. */
  from: Time.optional(),
  /** Before this time. */
  to: Time.optional(),
}

/** All given filters must match. */
export const AuditQuery = PageQuery.extend({ ...filters, ...times })
export type AuditQuery = z.input<typeof AuditQuery>

const timeParams = { from: TimeParam.optional(), to: TimeParam.optional() }

/** The same over HTTP, with times as RFC 3339 text. */
export const AuditParams = PageQuery.extend({ ...filters, ...timeParams })

/** Comma-separated values (RFC 4180), or one JSON object a line (https://jsonlines.org). */
export const ExportFormat = z.enum(['csv', 'jsonl'])
export type ExportFormat = z.infer<typeof ExportFormat>

export const ExportAudit = z.strictObject({ format: ExportFormat, ...filters, ...times })
export type ExportAudit = z.input<typeof ExportAudit> & {
  /** Told after each slice how many entries there have been. */
  onProgress?: ((progress: { entries: number }) => void) | undefined
  /** Ends the export before its next slice. */
  signal?: AbortSignal | undefined
}

export const ExportParams = z.strictObject({ format: ExportFormat.default('csv'), ...filters, ...timeParams })

export const ActivityQuery = PageQuery.extend({ userId: ExternalId.optional() })
export type ActivityQuery = z.input<typeof ActivityQuery>

/** One line of the activity feed: for every member's eyes, so that it says neither from where nor what was before. */
export const Activity = z.object({
  id: z.string(),
  time: Time,
  actor: Actor,
  action: z.string(),
  targets: z.array(AuditResource),
  /** `olga gave dev the role Developer` */
  summary: z.string(),
})
export type Activity = z.infer<typeof Activity>

export const ActivityView = Activity.extend({ time: TimeView }).meta({ id: 'RbacActivity' })

/** Everything before a time, or older than a number of milliseconds: one of the two. */
export const PruneAudit = z.union([
  z.strictObject({ before: Time }),
  z.strictObject({ olderThanMs: z.number().int().positive() }),
])
export type PruneAudit = z.input<typeof PruneAudit>

export const EraseAudit = z.strictObject({
  userId: ExternalId,
  /** Addresses of the same person, by which entries speak of them. */
  emails: z.array(Text.min(3).max(320)).max(20).default([]),
})
export type EraseAudit = z.input<typeof EraseAudit>
