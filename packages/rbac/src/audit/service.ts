import {
  checkScope,
  coreErrors,
  type DomainEvent,
  type Page,
  paginate,
  parse,
  type Scope,
  systemActor,
  type Tx,
} from '@org/core'
import type { Deps } from '../deps.js'
import { defaultTenantId } from '../tenants/default.js'
import { type AuditEntry, AuditQuery, LogAuditEntry, Plain, RecordedEvent } from './schema.js'

export interface Audit {
  /**
   * Records something that the host did. With `tx`, or with the one of a context that is spread into the entry, it
   * exists if and only if the host's transaction commits.
   *
   * @throws ProblemError `invalid_input`.
   */
  log(entry: LogAuditEntry & { tx?: Tx | undefined }, options?: { tx?: Tx | undefined }): Promise<AuditEntry>
  /**
   * A page of the tenant's log, the newest first.
   *
   * @throws ProblemError `invalid_input`.
   */
  query(scope: Scope, query?: AuditQuery): Promise<Page<AuditEntry>>
  /**
   * Records every domain event, in the event's own transaction: `createBilling({ events: [rbac.audit.sink] })`. A
   * transaction of another database cannot be joined; the entry is then written by itself, at once, and stays even if
   * that transaction rolls back. An event is recorded once, however often it is handed in; what is no event is refused
   * (`invalid_input`), and rolls back what it tells of.
   */
  sink: (event: DomainEvent, tx: Tx) => Promise<void>
}

export function createAudit({ storage, runtime }: Pick<Deps, 'storage' | 'runtime'>): Audit {
  const add = (entry: AuditEntry, tx: Tx | undefined) => storage.run(({ audit }) => audit.insertOrFind(entry), tx)

  const entryOf = (input: LogAuditEntry, origin: { eventId: string | null; time: number }): AuditEntry => {
    const { tenantId = defaultTenantId, actor = systemActor, action, outcome = 'success', ...rest } = input
    const { resource = null, ip = null, userAgent = null, requestId = null } = rest
    const data = plain('/data', rest.data ?? {})
    const before = rest.before ? plain('/before', rest.before) : null
    const after = rest.after ? plain('/after', rest.after) : null
    const about = { tenantId, actor, action, resource, outcome }
    return { id: runtime.id('aud'), ...origin, ...about, data, before, after, ip, userAgent, requestId }
  }

  return {
    async log(input, { tx = input.tx } = {}) {
      const entry = entryOf(parse(LogAuditEntry, input), { eventId: null, time: runtime.clock.now() })
      await add(entry, tx)
      return entry
    },

    async query(scope, query = {}) {
      const { tenantId, tx } = checkScope(scope)
      const { limit, cursor, ...filter } = parse(AuditQuery, query)
      return storage.read(
        ({ audit }) =>
          paginate(
            { limit, cursor },
            ['number', 'string'],
            (slice) => audit.list(tenantId, filter, slice),
            (last) => [last.time, last.id],
          ),
        tx,
      )
    },

    async sink(event, tx) {
      const { id: eventId, time, type: action, ...rest } = parse(RecordedEvent, event)
      const entry = entryOf({ ...rest, action }, { eventId, time })
      await add(entry, storage.owns(tx) ? tx : undefined)
    },
  }
}

/** As the database gives it back: dates become text, `undefined` goes. @throws ProblemError `invalid_input`. */
function plain(pointer: string, content: Plain): Plain {
  try {
    return Plain.parse(JSON.parse(JSON.stringify(content)))
  } catch (cause) {
    throw coreErrors.invalid_input({ errors: [{ pointer, detail: 'must be plain data' }], cause })
  }
}
