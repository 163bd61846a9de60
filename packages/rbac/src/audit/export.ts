/** The log as a file of any length, made slice by slice. */
import { setImmediate as othersTurn } from 'node:timers/promises'
import { checkScope, type Emit, parse, type Scope } from '@org/core'
import { stringify } from 'csv-stringify/sync'
import type { Deps } from '../deps.js'
import type { rbacEvents } from '../events.js'
import { type AuditRecord, entryOf } from './record.js'
import { type AuditEntry, ExportAudit, type ExportFormat } from './schema.js'
import type { AuditPosition } from './store.js'

/** Entries in one slice. */
const slice = 500

const columns = [
  ...['time', 'id', 'action', 'outcome', 'actor_type', 'actor_id', 'targets', 'ip', 'user_agent', 'request_id'],
  ...['data', 'before', 'after', 'event_id'],
]

function csvRow(entry: AuditEntry): (string | null)[] {
  const { id, time, actor, action, outcome, targets, ip, userAgent, requestId, data, before, after, eventId } = entry
  const json = (value: object | null) =>
    value === null || Object.keys(value).length === 0 ? null : JSON.stringify(value)
  const aims = targets.map((target) => `${target.type}:${target.id}`).join(' ')
  return [
    ...[new Date(time).toISOString(), id, action, outcome, actor.type, actor.id, aims, ip, userAgent, requestId],
    ...[json(data), json(before), json(after), eventId],
  ]
}

/** RFC 4180, with a quote before what a spreadsheet would take for a formula. */
const csv = (rows: (string | null)[][]) =>
  stringify(rows, { escape_formulas: true, record_delimiter: '\r\n', quote_record_delimiter: true })

const writers: Record<ExportFormat, { head: string; body(entries: AuditEntry[]): string }> = {
  csv: { head: csv([columns]), body: (entries) => csv(entries.map(csvRow)) },
  jsonl: {
    head: '',
    body: (entries) => entries.map(({ tenantId: _, ...entry }) => `${JSON.stringify(viewOf(entry))}\n`).join(''),
  },
}

/** As the routes show it. */
const viewOf = (entry: Omit<AuditEntry, 'tenantId'>) => ({ ...entry, time: new Date(entry.time).toISOString() })

export const exportTypes: Record<ExportFormat, string> = { csv: 'text/csv', jsonl: 'application/jsonl' }

export function createExport({ storage }: Pick<Deps, 'storage'>, emit: Emit<typeof rbacEvents>) {
  return (scope: Scope, input: ExportAudit): AsyncIterable<string> => {
    const { tenantId, tx } = checkScope(scope)
    const { onProgress, signal, ...query } = input
    const { format, ...filter } = parse(ExportAudit, query)
    const { head, body } = writers[format]
    async function* parts(): AsyncGenerator<string> {
      // Written before the first entry leaves: nobody reads the log unnoticed.
      await storage.run((_, own) => emit(scope, { type: 'audit.exported', data: { format, filter } }, own), tx)
      if (head) yield head
      let entries = 0
      for (let after: AuditPosition | null = null; ; ) {
        signal?.throwIfAborted()
        const from: AuditPosition | null = after
        const records: AuditRecord[] = await storage.read(
          ({ audit }) => audit.list(tenantId, filter, { limit: slice, after: from }),
          tx,
        )
        if (records.length > 0) yield body(records.map(entryOf))
        entries += records.length
        onProgress?.({ entries })
        const last = records.at(-1)
        if (!last || records.length < slice) return
        after = [last.time, last.id]
        // SQLite answers without letting go of the process.
        await othersTurn()
      }
    }
    return parts()
  }
}
