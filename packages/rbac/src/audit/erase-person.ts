/** Where an entry names a person: by their id, or by an address of theirs. */
import type { z } from 'zod'
import { addressOf } from '../invites/email.js'
import { nameOf } from './redact.js'
import type { AuditEntry, EraseAudit, Plain } from './schema.js'

/** Fields that hold a user's id: those of our own entries, and what hosts usually call theirs. Compared as `redact` does. */
export const userFields = [
  ...['user', 'userId', 'userIds', 'member', 'memberId', 'owner', 'ownerId', 'author', 'authorId', 'creator'],
  ...['creatorId', 'actor', 'actorId', 'assignee', 'assigneeId', 'createdBy', 'updatedBy', 'deletedBy', 'invitedBy'],
]

/** Fields that do so in one kind of entry; in others these words mean anything. */
const fieldsOfAction: Readonly<Record<string, readonly string[]>> = { 'ownership.transferred': ['from', 'to'] }

/** Of what type a thing is whose id is a user's: a target, an actor, or what a role is given on. */
const userTypes: readonly unknown[] = ['user', 'users', 'member', 'members']

type Who = z.output<typeof EraseAudit>

export interface Person {
  /** Of the JSON text of whatever names them, one of these is a part, with ASCII letters in either case. */
  texts: string[]
  /** Whether targets, `data`, `before` or `after` do. A role or a text of the same letters is not the person. */
  isNamedIn(entry: AuditEntry): boolean
}

/** `more` are names of fields beside the usual ones. */
export function createPersonOf(more: readonly string[] = []): (who: Who) => Person {
  const usual = fieldSet([...userFields, ...more])
  const fieldsOf = new Map(
    Object.entries(fieldsOfAction).map(([action, names]) => [action, new Set([...usual, ...fieldSet(names)])]),
  )
  return ({ userId, emails }) => {
    const addresses = new Set(emails.map(normalOf))
    /** JSON of the host's may hold a number where we have text. */
    const isId = (value: unknown) => value === userId || (typeof value === 'number' && String(value) === userId)
    // No other thing has the name of a mailbox, so that it counts wherever it stands.
    const isAddress = (value: unknown) => typeof value === 'string' && addresses.has(normalOf(value))
    const isReference = ({ type, resource, id }: Plain, isUserField: boolean) =>
      isId(id) && (userTypes.includes(type ?? resource) || (isUserField && type === undefined))

    const isIn = (fields: ReadonlySet<string>, value: unknown, isUserField: boolean): boolean => {
      if (Array.isArray(value)) return value.some((one) => isIn(fields, one, isUserField))
      if (!isPlain(value)) return isAddress(value) || (isUserField && isId(value))
      if (isReference(value, isUserField)) return true
      return Object.entries(value).some(([name, inner]) =>
        // An operator in a role's condition is about its field: `{ ownerId: { $in: ['ann'] } }`.
        isIn(fields, inner, name.startsWith('$') ? isUserField : fields.has(nameOf(name))),
      )
    }
    return {
      texts: textsOf(userId, emails),
      isNamedIn: (entry) =>
        isIn(fieldsOf.get(entry.action) ?? usual, [entry.targets, entry.data, entry.before, entry.after], false) ||
        isAskedFor(entry, isId) ||
        isRefusedOver(entry, userId),
    }
  }
}

const fieldSet = (names: readonly string[]): ReadonlySet<string> => new Set(names.map(nameOf))

const isPlain = (value: unknown): value is Plain => typeof value === 'object' && value !== null

const normalOf = (email: string) => addressOf(email)?.normal ?? email

/** As it stands within a JSON text. */
const inText = (text: string) => JSON.stringify(text).slice(1, -1)

function textsOf(userId: string, emails: readonly string[]): string[] {
  // In a sentence its quotes are escaped, and twice so in the JSON of a condition there.
  const ofId = [JSON.stringify(userId), inText(`"${userId}"`), inText(JSON.stringify(userId))]
  // Of a number in JSON only the beginning can be told.
  const ofNumber = String(Number(userId)) === userId ? [':', '[', ','].map((before) => before + userId) : []
  // Without the domain, which has many spellings: databases do not agree on the lower case of them all.
  const ofEmails = emails.map((email) => inText(email.trim().replace(/(?<=@)[^@]*$/, '')))
  return [...new Set([...ofId, ...ofNumber, ...ofEmails])]
}

/** An export of what concerns somebody; without a type, its filter is about a user as well. */
function isAskedFor({ action, data }: AuditEntry, isId: (value: unknown) => boolean): boolean {
  if (action !== 'audit.exported' || !isPlain(data.filter)) return false
  const { resourceType, resourceId } = data.filter
  return isId(resourceId) && (resourceType === undefined || userTypes.includes(resourceType))
}

/** A refusal's `detail` is a sentence of ours, and some name a user: others say `"ann" holds …` of a role. */
function isRefusedOver({ action, data: { detail, route } }: AuditEntry, userId: string): boolean {
  if (action !== 'access.denied' || typeof detail !== 'string') return false
  if (detail.startsWith(`"${userId}" without "`)) return true
  if (route === 'rbac.reactivateMember' && detail.startsWith(`"${userId}" holds `)) return true
  // `posts:update when {"assignee":"ann"}`: whose own rows are meant is filled in, whatever the field is called.
  const [, ...conditions] = detail.split(' when ')
  const parts = conditions.join().split(JSON.stringify(userId))
  return parts.some((after, i) => i > 0 && /[:[,]$/.test(parts[i - 1] ?? '') && /^[,\]}]/.test(after))
}
