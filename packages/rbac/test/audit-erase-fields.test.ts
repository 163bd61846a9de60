/** Which fields of which entries erasure looks at, against all that the three modules put into one. */
import { readFileSync } from 'node:fs'
import { billingEvents, createBilling, defineCatalog } from '@org/billing'
import { createRbac, rbacEvents } from '@org/rbac'
import { createWebhooks, webhooksEvents } from '@org/webhooks'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { createPersonOf, userFields } from '../src/audit/erase-person.js'
import type { AuditEntry } from '../src/audit/schema.js'

const logger = { debug() {}, info() {}, warn() {}, error() {} }

/** A place for text in what a schema describes, and something that has `text` there. */
interface Place {
  name: string
  with(text: string): unknown
}

interface JsonSchema {
  $ref?: string
  type?: string | string[]
  enum?: unknown[]
  const?: unknown
  format?: string
  properties?: Record<string, JsonSchema>
  items?: JsonSchema
  additionalProperties?: JsonSchema | boolean
  anyOf?: JsonSchema[]
  oneOf?: JsonSchema[]
  $defs?: Record<string, JsonSchema>
}

/** Every place where free text can stand, by the name of its field; `invitedBy.id` where the thing says what it is. */
function placesIn(schema: z.ZodType): Place[] {
  const root = z.toJSONSchema(schema, { io: 'output', unrepresentable: 'any' }) as JsonSchema
  const within = (given: JsonSchema, name: string, above: string[]): Place[] => {
    const ref = given.$ref?.split('/').at(-1)
    if (ref !== undefined && above.includes(ref)) return []
    const path = ref === undefined ? above : [...above, ref]
    const node = ref === undefined ? given : (root.$defs?.[ref] ?? {})
    const { properties = {}, items, additionalProperties: rest } = node
    const nested = (inner: JsonSchema, innerName: string, wrap: (value: unknown) => unknown): Place[] =>
      within(inner, innerName, path).map((place) => ({ ...place, with: (text) => wrap(place.with(text)) }))

    const types = properties.type?.enum
    const kind = types && { type: types[0] }
    const fields = Object.entries(properties).flatMap(([key, inner]) =>
      nested(inner, kind && key === 'id' ? `${name}.id` : key, (value) => ({ ...kind, [key]: value })),
    )
    return [
      ...(isText(node) ? [{ name, with: (text: string) => text }] : []),
      ...[...(node.anyOf ?? []), ...(node.oneOf ?? [])].flatMap((one) => within(one, name, path)),
      ...(items ? nested(items, name, (value) => [value]) : []),
      ...(typeof rest === 'object' ? nested(rest, `${name}.*`, (value) => ({ any: value })) : []),
      ...fields,
    ]
  }
  return within(root, '', [])
}

/** Of no fixed words and no format of its own; a schema that says nothing takes text as well. */
function isText({ type, format, anyOf, oneOf, ...node }: JsonSchema): boolean {
  if (node.enum || node.const !== undefined || format !== undefined) return false
  return type === undefined ? !(anyOf || oneOf) : [type].flat().includes('string')
}

const entryWith = (fields: Partial<AuditEntry>): AuditEntry => ({
  ...{ id: 'aud_1', eventId: null, tenantId: 't1', time: 1, actor: { type: 'system', id: 'system' }, action: 'a' },
  ...{ resource: null, targets: [], outcome: 'success', data: {}, before: null, after: null },
  ...{ ip: null, userAgent: null, requestId: null },
  ...fields,
})

describe('the fields that erasure looks at', () => {
  const ann = createPersonOf()({ userId: 'ann', emails: ['Ann@A.example'] })
  const names = (fields: Partial<AuditEntry>) => ann.isNamedIn(entryWith(fields))

  /** The names of all places, by whether an id there is taken for a user's. */
  function sorted(all: { place: Place; entry: (content: AuditEntry['data']) => Partial<AuditEntry> }[]) {
    const found = { users: new Set<string>(), others: new Set<string>() }
    for (const { place, entry } of all) {
      found[names(entry(place.with('ann') as AuditEntry['data'])) ? 'users' : 'others'].add(place.name)
    }
    return { users: [...found.users].sort(), others: [...found.others].sort() }
  }

  // A field that is new in an event or a view fails here until somebody has said whether it holds a user's id.
  it('are those that hold one in the `data` of every event', () => {
    const events = Object.entries({ ...rbacEvents, ...webhooksEvents, ...billingEvents })
    const all = events.flatMap(([action, schema]) =>
      placesIn(schema).map((place) => ({ place, entry: (data: AuditEntry['data']) => ({ action, data }) })),
    )
    expect(sorted(all)).toEqual({
      users: ['from', 'to', 'userId'],
      others: [
        ...['assignmentId', 'currency', 'customerId', 'declineCode', 'deliveryId', 'email', 'endpointId', 'eventType'],
        // What an export asked for is in audit-erase.test.ts; what a host adds to a quota is the host's.
        ...[
          'filter.*',
          '.*',
          'format',
          'inviteId',
          'invoiceId',
          'jobId',
          'key',
          'keyId',
          'messageId',
          'meter',
          'name',
          'note',
        ],
        ...['number', 'plan', 'role', 'subscriptionId', 'tenantId', 'url'],
      ].sort(),
    })
  })

  it('are those that hold one in what routes that change something show, as `before` and `after` do', () => {
    const catalog = defineCatalog({
      currency: 'usd',
      features: {},
      meters: {},
      plans: { free: { name: 'F', rank: 0 } },
    })
    const modules = [
      createRbac({ logger }).http,
      createWebhooks({ logger }).http,
      createBilling({ logger, catalog }).http,
    ]
    const all = modules
      .flatMap(({ routes }) => routes)
      .flatMap(({ method, response }) => (response && method !== 'GET' ? placesIn(response) : []))
      .map((place) => ({ place, entry: (after: AuditEntry['data']) => ({ after }) }))
    expect(sorted(all)).toEqual({
      users: ['author.id', 'invitedBy.id', 'userId'],
      others: [
        ...['filter.*', 'header', 'headerNames', 'publicKey'],
        ...['action', 'allowedIps', 'assignmentId', 'channels', 'currency', 'deliveryId', 'description', 'domains'],
        ...['email', 'endpointId', 'etag', 'eventId', 'eventType', 'eventTypes', 'fields', 'id', 'inherits', 'key'],
        ...['keyId', 'maskedEmail', 'messageId', 'metadata.*', 'meter', 'name', 'note', 'number', 'path'],
        ...['paymentMethod', 'permission', 'permissions', 'plan', 'resource', 'role', 'roleNames', 'roles', 'scopes'],
        ...['secret', 'sendError', 'start', 'subscriptionId', 'tenantId', 'tenantName', 'token', 'url', 'wouldAllow'],
        // Named by the host, as its own fields are; operators go by the name of theirs.
        ...['row.*', 'when.*', '$eq', '$gt', '$gte', '$in', '$lt', '$lte', '$ne', '$nin'],
      ].sort(),
    })
  })

  it('are also the usual ones of hosts, in any spelling, at any depth, in lists and in conditions', () => {
    for (const data of [
      { created_by: 'ann' },
      { row: { Owner_ID: 'ann' } },
      { userIds: ['bob', 'ann'] },
      { assignee: { id: 'ann', name: 'x' } },
      { approver: { type: 'user', id: 'ann' } },
      { on: { resource: 'members', id: 'ann' } },
      { rules: [{ when: { ownerId: { $in: ['ann'] } } }] },
      { anything: 'ANN@a.example' },
    ]) {
      expect(names({ data }), JSON.stringify(data)).toBe(true)
      expect(names({ before: data }), JSON.stringify(data)).toBe(true)
      expect(names({ after: data }), JSON.stringify(data)).toBe(true)
    }
    for (const type of ['user', 'member'])
      expect(
        names({
          targets: [
            { type: 'key', id: 'k' },
            { type, id: 'ann' },
          ],
        }),
      ).toBe(true)
  })

  it('are none that only say the same', () => {
    for (const data of [
      { role: 'ann', roles: ['ann'], tags: ['ann'], text: 'ann', name: 'ann', id: 'ann', ann: true },
      { userId: 'Ann' },
      { userId: 'bob', note: 'for "ann"' },
      { from: 'ann', to: 'ann' },
      { invitedBy: { type: 'key', id: 'ann' } },
      { on: { resource: 'projects', id: 'ann' } },
      { owner: { ann: 'x' } },
      { text: 'write to ann@a.example' },
      { email: 'joann@a.example' },
      { filter: { resourceId: 'ann' }, detail: '"ann" without "x" holds *, which you do not.' },
    ]) {
      expect(names({ data }), JSON.stringify(data)).toBe(false)
    }
    expect(names({ targets: ['key', 'role', 'tenant'].map((type) => ({ type, id: 'ann' })) })).toBe(false)
  })

  it('are in a refusal the sentences that name a user or their rows', () => {
    const isIn = (detail: string, route = 'rbac.assignRole') =>
      names({ action: 'access.denied', data: { route, detail: `${detail}, which you do not.` } })
    expect(isIn('"ann" holds *', 'rbac.reactivateMember')).toBe(true)
    expect(isIn('"ann" without "nodel" holds *')).toBe(true)
    expect(isIn('"r" holds posts:read when {"a":"x"}, posts:update when {"a":1,"b":{"$in":["x","ann"]}}')).toBe(true)
    expect(isIn('"ann" holds *')).toBe(false)
    expect(isIn('"bob" without "ann" holds *')).toBe(false)
    expect(isIn('"bob" holds *', 'rbac.reactivateMember')).toBe(false)
    expect(isIn('"r" holds posts:update when {"a":"x","ann":1}')).toBe(false)
  })

  it('are those that the option `userFields` adds', () => {
    const more = createPersonOf(['approver'])({ userId: 'ann', emails: [] })
    expect(more.isNamedIn(entryWith({ data: { list: [{ Approver: 'ann' }] } }))).toBe(true)
    expect(more.isNamedIn(entryWith({ data: { userId: 'ann' } }))).toBe(true)
    expect(names({ data: { approver: 'ann' } })).toBe(false)
  })

  it('stand in the guide', () => {
    const guide = readFileSync(new URL('../../../docs/rbac/audit.md', import.meta.url), 'utf8')
    const [, listed = ''] = /looks at these fields: (.*?)\./.exec(guide) ?? []
    expect([...listed.matchAll(/`(\w+)`/g)].map(([, name]) => name)).toEqual(userFields)
  })
})
