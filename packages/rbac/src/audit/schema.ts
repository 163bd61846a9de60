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

/** Somebody did something to something. Entries are never changed. */
export const AuditEntry = z.object({
  id: z.string(),
  /** The domain event that it records; null for an entry of the host's own `audit.log`. */
  eventId: z.string().nullable(),
  tenantId: z.string(),
  time: Time,
  actor: Actor,
  /** Dotted, like an event type: `key.created`. */
  action: z.string(),
  resource: AuditResource.nullable(),
  outcome: Outcome,
  data: Plain,
  before: Plain.nullable(),
  after: Plain.nullable(),
  ip: z.string().nullable(),
  userAgent: z.string().nullable(),
  requestId: z.string().nullable(),
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
  resource: AuditResource.nullish(),
  /** `success` unless told. */
  outcome: Outcome.optional(),
  /**
   * Plain data: dates become text, what JSON does not know is dropped, a BigInt or a loop is refused. No secrets:
   * whoever may read the log reads them.
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
  action: Action.optional(),
  resourceType: AuditResource.shape.type.optional(),
  resourceId: AuditResource.shape.id.optional(),
}

/** All given filters must match. */
export const AuditQuery = PageQuery.extend({
  ...filters,
  /** At this time or later. */
  from: Time.optional(),
  /** Before this time. */
  to: Time.optional(),
})
export type AuditQuery = z.input<typeof AuditQuery>

/** The same over HTTP, with times as RFC 3339 text. */
export const AuditParams = PageQuery.extend({ ...filters, from: TimeParam.optional(), to: TimeParam.optional() })
