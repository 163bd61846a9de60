/** Whether an entry shows what its canonical text binds, and if not, what was changed. */
import { canonicalText, canonicalTextFast, commitment, isPlain, sha256, whoOf } from './canonical.js'
import { targetsOf } from './record.js'
import { erasedId } from './schema.js'
import type { ChainedRecord, TargetRow } from './store.js'

/**
 * A quick yes. `targets` are those after the first that the entry is found by; null if they were not read. A no is also said of every erased entry: {@link whatDiffers} looks
 * at its text.
 */
export function whatIsShown(row: ChainedRecord, targets: TargetRow[] | null): boolean {
  const { what, whoSalt, whatSalt } = row
  if (what === null || whoSalt === null || whatSalt === null) return false
  const text = canonicalTextFast(row, commitment(whoSalt, whoOf(row)), commitment(whatSalt, what))
  // The hash first: what does not fit it may be no JSON at all.
  return sha256(text) === row.contentHash && isFound(row, what, targets)
}

/** Whether the entry is found by the very targets that it shows. */
function isFound({ resourceType, resourceId }: ChainedRecord, what: string, targets: TargetRow[] | null): boolean {
  const end = resourceType === null || resourceId === null ? 2 : endOfFirst(what, resourceType, resourceId)
  if (end < 0 || (end === 2 && (resourceType !== resourceId || !what.startsWith('[[]')))) return false
  // The usual entry has one target or none, and need not be parsed to see it.
  if (targets === null || targets.length === 0) return targets === null || what[end] === ']'
  const [, ...others] = targetsOf(what)
  return (
    others.length === targets.length &&
    targets.every(({ type, id }, i) => others[i]?.type === type && others[i]?.id === id)
  )
}

/** Where the first target's text ends; -1 if it is another. */
function endOfFirst(what: string, type: string, id: string): number {
  // Whoever edits an id must not pass for JSON of several targets.
  const first = isPlain(type) && isPlain(id) ? `[[["${type}","${id}"]` : `[[${JSON.stringify([type, id])}`
  return what.startsWith(first) ? first.length : -1
}

type Text = Record<string, unknown> & { who: string; what: string }

/** Null if nothing; otherwise the names of what was changed, for people to read. */
export function whatDiffers(row: ChainedRecord, canonical: string, targets: TargetRow[] | null): string | null {
  if (sha256(canonical) !== row.contentHash) return 'the canonical text, or what it stands for'
  const text = JSON.parse(canonical) as Text
  const { actorId, ip, userAgent, whoSalt, what, whatSalt, resourceType, resourceId } = row
  const changed: string[] = []
  for (const name of ['id', 'eventId', 'tenantId', 'time', 'actorType', 'action', 'outcome', 'requestId'] as const) {
    if (row[name] !== text[name]) changed.push(name)
  }
  const whoIsGone = actorId === erasedId && ip === null && userAgent === null
  const whoFits = whoSalt === null ? whoIsGone : commitment(whoSalt, whoOf(row)) === text.who
  if (!whoFits) changed.push('actor, ip or userAgent')
  const whatIsGone = what === null && resourceType === null && resourceId === null
  const whatFits = whatSalt === null ? whatIsGone : what !== null && commitment(whatSalt, what) === text.what
  if (!whatFits) changed.push('targets, data, before or after')
  else if (what !== null && !isFound(row, what, targets)) changed.push('the targets that it is found by')
  if (changed.length > 0) return changed.join(', ')
  return canonicalText(row, text.who, text.what) === canonical ? null : 'the canonical text'
}
