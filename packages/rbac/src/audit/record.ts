/** An entry as it is kept: what is shown, what binds it to the chain, and its place there. */
import { type AuditEntry, type AuditPart, type AuditResource, erasedId, type Plain } from './schema.js'

export interface AuditRecord {
  id: string
  eventId: string | null
  tenantId: string
  time: number
  actorType: AuditEntry['actor']['type']
  actorId: string
  action: string
  outcome: AuditEntry['outcome']
  /** The first target, by which it is found; all of them are in `what`. */
  resourceType: string | null
  resourceId: string | null
  ip: string | null
  userAgent: string | null
  requestId: string | null
  /** JSON text of {@link What}; null once it has been erased. */
  what: string | null
  /** Null once actor, address and user agent have been erased. */
  whoSalt: string | null
  whatSalt: string | null
  /** What the chain binds, by RFC 8785; it holds commitments in place of the personal parts. */
  canonical: string
  /** SHA-256 of `canonical`, in hex. */
  contentHash: string
  /** The place in the tenant's chain, from 1; null until the sealer has been there. */
  seq: number | null
  prevHash: string | null
  hash: string | null
}

/** Targets as pairs of type and id, `data`, `before` and `after`. */
type What = [targets: [type: string, id: string][], data: Plain, before: Plain | null, after: Plain | null]

export function whatOf({ targets, data, before, after }: Pick<AuditEntry, 'targets' | 'data' | 'before' | 'after'>) {
  const what: What = [targets.map(({ type, id }) => [type, id]), data, before, after]
  return JSON.stringify(what)
}

export function targetsOf(what: string | null): AuditResource[] {
  if (what === null) return []
  const [targets] = JSON.parse(what) as What
  return targets.map(([type, id]) => ({ type, id }))
}

export function entryOf(record: Omit<AuditRecord, 'canonical'>): AuditEntry {
  const { id, eventId, tenantId, time, actorType, actorId, action, outcome, ip, userAgent, requestId } = record
  const [pairs, data, before, after]: What = record.what === null ? [[], {}, null, null] : JSON.parse(record.what)
  const targets = pairs.map(([type, id]) => ({ type, id }))
  const erased: AuditPart[] = []
  if (record.whoSalt === null) erased.push('who')
  if (record.whatSalt === null) erased.push('what')
  return {
    ...{ id, eventId, tenantId, time, actor: { type: actorType, id: actorId }, action, resource: targets[0] ?? null },
    ...{ targets, outcome, data, before, after, ip, userAgent, requestId },
    ...(erased.length > 0 && { erased }),
  }
}

/** What is written over a record whose personal parts go. */
export function withoutWho(): Pick<AuditRecord, 'actorId' | 'ip' | 'userAgent' | 'whoSalt'> {
  return { actorId: erasedId, ip: null, userAgent: null, whoSalt: null }
}

export function withoutWhat(): Pick<AuditRecord, 'resourceType' | 'resourceId' | 'what' | 'whatSalt'> {
  return { resourceType: null, resourceId: null, what: null, whatSalt: null }
}
