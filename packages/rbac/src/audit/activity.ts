/** What a team's members see of each other's doings: short lines for people. */
import { checkScope, type Page, paginate, parse, type Scope } from '@org/core'
import type { Deps } from '../deps.js'
import { entryOf } from './record.js'
import { type Activity, ActivityQuery, type AuditEntry } from './schema.js'

/** What belongs into the feed; the log itself has more. */
const shown = [
  ...['assignment.*', 'member.*', 'ownership.*', 'tenant.*', 'invite.*', 'key.*', 'role.*', 'policy.*'],
  ...['endpoint.*', 'subscription.*', 'invoice.*', 'plan.*'],
]

const text = (value: unknown) => (typeof value === 'string' && value !== '' ? value : undefined)

/** `read_only` is "Read Only" to people. */
const title = (key: string) => key.replace(/[_-]+/g, ' ').replace(/\b\w/g, (letter) => letter.toUpperCase())

/** What an entry says; a sentence that lacks what it needs is not told. */
interface Told {
  who: string
  /** Whom it was done to. */
  whom: string | undefined
  role: string | undefined
  from: string | undefined
  to: string | undefined
}

const sentences: Record<string, (told: Told) => string | undefined> = {
  'assignment.created': ({ who, whom, role }) => whom && role && `${who} gave ${whom} ${role}`,
  'assignment.updated': ({ who, whom, role }) => whom && role && `${who} changed how long ${whom} has ${role}`,
  'assignment.deleted': ({ who, whom, role }) => whom && role && `${who} took ${role} from ${whom}`,
  'ownership.transferred': ({ who, from, to }) =>
    from && to && `${who} transferred the ownership from ${from} to ${to}`,
}

/** The words of past deeds: `key.created` reads "olga created the key CI". */
function sentence({ actor, action, targets, data, before, after }: AuditEntry): string {
  const who = actor.type === 'system' ? 'The system' : actor.id
  const facts = { ...before, ...after, ...data }
  const [target] = targets
  const person = text(facts.userId) ?? (target?.type === 'user' ? target.id : undefined)
  const role = text(facts.role)
  const named = { from: text(facts.from), to: text(facts.to), role: role && `the role ${title(role)}` }
  const told = sentences[action]?.({ who, whom: person, ...named })
  if (told) return told
  const [thing = action, ...deeds] = action.split('.')
  const name = person ?? text(facts.name) ?? text(facts.email) ?? target?.id
  const deed = deeds.join(' ').replace(/[_-]+/g, ' ') || 'changed'
  return [`${who} ${deed} the ${thing.replace(/[_-]+/g, ' ')}`, ...(name ? [name] : [])].join(' ')
}

export function activityOf(entry: AuditEntry): Activity {
  const { id, time, actor, action, targets } = entry
  return { id, time, actor, action, targets, summary: sentence(entry) }
}

export function createActivity({ storage }: Pick<Deps, 'storage'>) {
  return async (scope: Scope, query: ActivityQuery = {}): Promise<Page<Activity>> => {
    const { tenantId, tx } = checkScope(scope)
    const { userId: user, ...page } = parse(ActivityQuery, query)
    const filter = { user, actions: shown, outcome: 'success' as const }
    const { data, next } = await storage.read(
      ({ audit }) =>
        paginate(
          page,
          ['number', 'string'],
          (slice) => audit.list(tenantId, filter, slice),
          ({ time, id }) => [time, id],
        ),
      tx,
    )
    return { data: data.map((record) => activityOf(entryOf(record))), next }
  }
}
