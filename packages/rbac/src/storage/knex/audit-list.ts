/** How pages of the log are read: always along one index, however long the log is. */
import { dialectOf, type KnexTable } from '@org/core/knex'
import type { Knex } from 'knex'
import type { AuditRecord } from '../../audit/record.js'
import type { AuditFilter, AuditPosition, AuditStore } from '../../audit/store.js'

type Narrow = (query: Knex.QueryBuilder) => Knex.QueryBuilder

/** With more actions than this under one prefix, the log is walked by time instead. */
const maxActions = 100

/**
 * A prefix of actions is read action by action, and further targets from their own table: each read goes along an index
 * in the order of time and stops at the limit, and the reads are merged. One query with an OR would read everything.
 */
export function auditReader(db: Knex, table: KnexTable<AuditRecord>, targets: string): AuditStore['list'] {
  return async (tenantId, filter, slice) => {
    const { action, actions = action === undefined ? [] : [action], ...rest } = filter
    // Somebody's or something's own entries are few: what they did is looked at along their index.
    const { user, resourceId, requestId } = rest
    const isNarrow = user !== undefined || resourceId !== undefined || requestId !== undefined
    const known = await actionsOf(table, tenantId, actions, isNarrow)
    const reads: Narrow[] = []
    for (const only of known) {
      const narrow: Narrow = (query) => {
        query.where(`${table.name}.tenant_id`, tenantId)
        only(query)
        return narrowed(db, table.name, query, rest)
      }
      reads.push((query) =>
        newest(narrow(aimed(query, table.name, 'resource_type', 'resource_id', rest)), table.name, slice),
      )
      if (rest.resourceType !== undefined || rest.resourceId !== undefined) {
        reads.push((query) => {
          query.join(targets, (on) => {
            on.on(`${targets}.tenant_id`, `${table.name}.tenant_id`)
            on.on(`${targets}.time`, `${table.name}.time`).on(`${targets}.entry_id`, `${table.name}.id`)
          })
          query.where(`${targets}.tenant_id`, tenantId)
          return newest(narrow(aimed(query, targets, 'type', 'id', rest)), targets, slice, 'entry_id')
        })
      }
    }
    if (reads.length === 1) return table.all(reads[0])
    const rows = new Map<string, AuditRecord>()
    for (const read of reads) for (const row of await table.all(read)) rows.set(row.id, row)
    return [...rows.values()].sort((a, b) => b.time - a.time || (a.id < b.id ? 1 : -1)).slice(0, slice.limit)
  }
}

/** One narrowing for each action that there is under the names and prefixes given; a single free one without any. */
async function actionsOf(
  table: KnexTable<AuditRecord>,
  tenantId: string,
  wanted: readonly string[],
  isNarrow: boolean,
): Promise<Narrow[]> {
  if (wanted.length === 0) return [(query) => query]
  const column = `${table.name}.action`
  const exact = wanted.filter((action) => !isPrefix(action))
  const prefixes = wanted.filter(isPrefix).map((action) => action.slice(0, -1))
  const there = prefixes.length > 0 && !isNarrow ? await distinctActions(table, tenantId) : []
  const found = there.filter((action) => prefixes.some((prefix) => action.startsWith(prefix)))
  const actions = [...new Set([...exact, ...found])]
  if (prefixes.length === 0 || (!isNarrow && there.length <= maxActions))
    return actions.map((action) => (query) => query.where(column, action))
  return [
    (query) =>
      query.where((any) => {
        any.whereIn(column, exact)
        for (const prefix of prefixes) any.orWhereRaw("?? like ? escape '!'", [column, likeText(prefix, '', '%')])
      }),
  ]
}

const isPrefix = (action: string) => action.endsWith('.*')

/** All actions of a tenant, one step along the index for each, until there are too many. */
async function distinctActions(table: KnexTable<AuditRecord>, tenantId: string): Promise<string[]> {
  const dialect = dialectOf(table.db)
  const next = (beyond: string) => `(select action from ?? where tenant_id = ?${beyond} order by action limit 1)`
  // PostgreSQL wants one type throughout; a cast in MySQL would change the collation.
  const typed = (sql: string) => (dialect === 'mysql' ? sql : `cast(${sql} as text)`)
  const sql = `with recursive found(action) as (
    select ${typed(next(''))}
    union all
    select ${typed(next(' and action > found.action'))} from found where found.action is not null
  ) select action from found where action is not null limit ?`
  const result = await table.db.raw(sql, [table.name, tenantId, table.name, tenantId, maxActions + 1])
  const rows: { action: string }[] = dialect === 'postgres' ? result.rows : dialect === 'mysql' ? result[0] : result
  return rows.map(({ action }) => action)
}

function aimed(
  query: Knex.QueryBuilder,
  table: string,
  type: string,
  id: string,
  filter: AuditFilter,
): Knex.QueryBuilder {
  if (filter.resourceType !== undefined) query.where(`${table}.${type}`, filter.resourceType)
  if (filter.resourceId !== undefined) query.where(`${table}.${id}`, filter.resourceId)
  return query
}

function newest(
  query: Knex.QueryBuilder,
  table: string,
  { limit, after }: { limit: number; after: AuditPosition | null },
  id = 'id',
): Knex.QueryBuilder {
  if (after) {
    // The first condition goes along the index, and the second looks at the entries of one moment.
    const [time, last] = after
    query.where(`${table}.time`, '<=', time)
    query.where((older) => older.where(`${table}.time`, '<', time).orWhere(`${table}.${id}`, '<', last))
  }
  const desc = (column: string) => ({ column: `${table}.${column}`, order: 'desc' as const })
  return query.orderBy([desc('time'), desc(id)]).limit(limit)
}

function narrowed(db: Knex, table: string, query: Knex.QueryBuilder, filter: AuditFilter): Knex.QueryBuilder {
  const { user, outcome, requestId, text, from, to } = filter
  const column = (name: string) => `${table}.${name}`
  if (user !== undefined) query.where(column('actor_id'), user)
  if (outcome !== undefined) query.where(column('outcome'), outcome)
  // As the partial index says it, or it would not be used.
  if (outcome !== undefined && outcome !== 'success') query.whereRaw("?? <> 'success'", [column('outcome')])
  if (requestId !== undefined) query.where(column('request_id'), requestId)
  if (from !== undefined) query.where(column('time'), '>=', from)
  if (to !== undefined) query.where(column('time'), '<', to)
  if (text !== undefined) query.where((any) => contains(db, any, column, text))
  return query
}

/** In any case of letters; SQLite knows only those of ASCII. */
function contains(db: Knex, any: Knex.QueryBuilder, column: (name: string) => string, text: string): void {
  const lower = dialectOf(db) === 'sqlite' ? asciiLower(text) : text.toLowerCase()
  const like = (name: string, pattern: string) => any.orWhereRaw("lower(??) like ? escape '!'", [column(name), pattern])
  like('action', likeText(lower))
  like('actor_id', likeText(lower))
  like('what', likeText(JSON.stringify(lower).slice(1, -1)))
}

const asciiLower = (text: string) => text.replace(/[A-Z]/g, (letter) => letter.toLowerCase())

/** A pattern for `like … escape '!'` that finds exactly this text. */
export function likeText(text: string, before = '%', after = '%'): string {
  return before + text.replace(/[!%_]/g, (sign) => `!${sign}`) + after
}
