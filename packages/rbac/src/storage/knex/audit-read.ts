/**
 * Reads what verifying needs of many entries. A row of twenty columns costs a driver more than checking it does; one column
 * that holds them all is read in a third of the time.
 */
import { dialectOf, type KnexTable } from '@org/core/knex'
import type { Knex } from 'knex'
import type { AuditRecord } from '../../audit/record.js'
import type { ChainedRecord, TargetRow } from '../../audit/store.js'
import type { Target } from './audit.js'

/** Between the fields; a row whose text has it inside is read column by column. */
const separator = '\x1f'

/** Those that are always there, in the order of the text. */
const given = ['id', 'tenantId', 'time', 'actorType', 'actorId', 'action', 'outcome', 'contentHash'] as const
/** Those that may be null, which is no text at all; all other text has a sign before it. */
const nullable = [
  ...([
    'eventId',
    'resourceType',
    'resourceId',
    'ip',
    'userAgent',
    'requestId',
    'what',
    'whoSalt',
    'whatSalt',
  ] as const),
  ...(['seq', 'prevHash', 'hash'] as const),
] as const

const columns: Record<(typeof given)[number] | (typeof nullable)[number], string> = {
  ...{ id: 'id', tenantId: 'tenant_id', time: 'time', actorType: 'actor_type', actorId: 'actor_id', action: 'action' },
  ...{ outcome: 'outcome', contentHash: 'content_hash', eventId: 'event_id', resourceType: 'resource_type' },
  ...{ resourceId: 'resource_id', ip: 'ip', userAgent: 'user_agent', requestId: 'request_id', what: 'what' },
  ...{ whoSalt: 'who_salt', whatSalt: 'what_salt', seq: 'seq', prevHash: 'prev_hash', hash: 'hash' },
}

/** `narrow` says which, and in which order. */
export async function readChained(
  table: KnexTable<AuditRecord>,
  narrow: (query: Knex.QueryBuilder) => Knex.QueryBuilder,
): Promise<ChainedRecord[]> {
  const joined: { entry: string }[] = await table
    .query(narrow)
    .select(table.db.raw(`${joinedColumns(table.db)} as entry`))
  const rows: ChainedRecord[] = []
  for (const { entry } of joined) {
    const row = split(entry)
    if (!row) return table.all(narrow)
    rows.push(row)
  }
  return rows
}

function joinedColumns(db: Knex): string {
  const dialect = dialectOf(db)
  const sign = dialect === 'postgres' ? 'chr(31)' : dialect === 'sqlite' ? 'char(31)' : 'char(31 using utf8mb4)'
  const both = (text: string) => (dialect === 'mysql' ? `concat('=', ${text})` : `('=' || ${text})`)
  const parts = [
    ...given.map((name) => columns[name]),
    ...nullable.map((name) => `coalesce(${both(columns[name])}, '')`),
  ]
  return dialect === 'sqlite' ? parts.join(` || ${sign} || `) : `concat_ws(${sign}, ${parts.join(', ')})`
}

const orNull = (part: string | undefined): string | null => (part ? part.slice(1) : null)

/** Written out, because it is done a million times. */
function split(entry: string): ChainedRecord | null {
  const parts = entry.split(separator)
  if (parts.length !== given.length + nullable.length) return null
  const seq = orNull(parts[17])
  return {
    id: parts[0] as string,
    tenantId: parts[1] as string,
    time: Number(parts[2]),
    actorType: parts[3] as ChainedRecord['actorType'],
    actorId: parts[4] as string,
    action: parts[5] as string,
    outcome: parts[6] as ChainedRecord['outcome'],
    contentHash: parts[7] as string,
    eventId: orNull(parts[8]),
    resourceType: orNull(parts[9]),
    resourceId: orNull(parts[10]),
    ip: orNull(parts[11]),
    userAgent: orNull(parts[12]),
    requestId: orNull(parts[13]),
    what: orNull(parts[14]),
    whoSalt: orNull(parts[15]),
    whatSalt: orNull(parts[16]),
    seq: seq === null ? null : Number(seq),
    prevHash: orNull(parts[18]),
    hash: orNull(parts[19]),
  }
}

/** More of them than this for each entry of a batch belong to other entries of the same time. */
const targetsPerEntry = 4

/**
 * Read by the time of the entries, which for most finds nothing at once. Where late entries have made that a long time, by
 * the entries themselves.
 */
export async function readTargets(
  entries: KnexTable<AuditRecord>,
  targets: KnexTable<Target>,
  tenantId: string,
  records: readonly ChainedRecord[],
): Promise<TargetRow[]> {
  const times = records.map(({ time }) => time)
  const limit = targetsPerEntry * records.length
  const near = await targets.all((query) =>
    query
      .where('tenant_id', tenantId)
      .whereBetween('time', [Math.min(...times), Math.max(...times)])
      .orderBy(['time', 'entry_id', 'position'])
      .limit(limit),
  )
  if (near.length === 0) return []
  if (near.length === limit) return joinedTargets(entries, targets, tenantId, records)
  const timeOf = new Map(records.map(({ id, time }) => [id, time]))
  return near
    .filter(({ entryId, time }) => timeOf.get(entryId) === time)
    .map(({ entryId, type, id }) => ({ entryId, type, id }))
}

async function joinedTargets(
  entries: KnexTable<AuditRecord>,
  targets: KnexTable<Target>,
  tenantId: string,
  records: readonly ChainedRecord[],
): Promise<TargetRow[]> {
  const [e, t] = [entries.name, targets.name]
  return entries
    .db(e)
    .join(t, (on) =>
      on.on(`${t}.tenant_id`, `${e}.tenant_id`).on(`${t}.time`, `${e}.time`).on(`${t}.entry_id`, `${e}.id`),
    )
    .where(`${e}.tenant_id`, tenantId)
    .whereBetween(`${e}.seq`, [records[0]?.seq ?? 0, records.at(-1)?.seq ?? 0])
    .orderBy(`${t}.position`)
    .select({ entryId: `${t}.entry_id`, type: `${t}.type`, id: `${t}.id` })
}
