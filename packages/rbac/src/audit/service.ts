import {
  checkScope,
  createEmit,
  type DomainEvent,
  type EventSink,
  type Page,
  paginate,
  parse,
  type Scope,
  systemActor,
  type Tx,
} from '@org/core'
import type { Deps } from '../deps.js'
import type { rbacEvents } from '../events.js'
import { defaultTenantId } from '../tenants/default.js'
import { createActivity } from './activity.js'
import { recordOf, sha256 } from './canonical.js'
import { linksAfter } from './chain.js'
import { createSigner } from './checkpoint.js'
import { createErase, type Erased } from './erase.js'
import { createExport } from './export.js'
import { fit } from './fit.js'
import type { AuditOptions } from './options.js'
import { type AuditRecord, entryOf } from './record.js'
import { createRedact } from './redact.js'
import { createPrune, type Pruned } from './retention.js'
import {
  type Activity,
  type ActivityQuery,
  type AuditEntry,
  AuditQuery,
  type AuditResource,
  type EraseAudit,
  type ExportAudit,
  LogAuditEntry,
  type PruneAudit,
  RecordedEvent,
} from './schema.js'
import { createSealer, type Sealer, type SealResult } from './sealer.js'
import { type AuditVerification, createVerify, type VerifyOptions } from './verify.js'

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
  /**
   * The log, or what the filters leave of it, as text in parts; the newest first. Reads as it is read, in memory for one
   * slice. Exporting is itself an entry, `audit.exported`, before the first line.
   *
   * @throws ProblemError `invalid_input`, at once.
   */
  export(scope: Scope, input: ExportAudit): AsyncIterable<string>
  /**
   * What the tenant's members did, as short lines for people: successful changes to members, keys, roles and the like.
   *
   * @throws ProblemError `invalid_input`.
   */
  activity(scope: Scope, query?: ActivityQuery): Promise<Page<Activity>>
  /**
   * Gives all entries that wait their places in the chains, makes the checkpoints that are due, and hands both to
   * `anchor` and `stream`. Any number of processes may do so at once. @throws the first error, after the other tenants.
   */
  seal(options?: { tenantId?: string | undefined }): Promise<SealResult>
  /** Seals again and again, `everyMs` (1,000 unless told) after the last time. Errors go to the logger. */
  startSealer(options?: { everyMs?: number | undefined }): Sealer
  /**
   * Reads the tenant's whole log and says what was done to it behind our back. Give it the checkpoints that `anchor`
   * got: nothing inside of the database can show that its end was cut off with all that told of it.
   *
   * @throws ProblemError `invalid_input`.
   */
  verify(scope: Scope, options?: VerifyOptions): Promise<AuditVerification>
  /**
   * Removes old entries, whole checkpointed segments at a time, as far as `anchor` and `stream` have got theirs. An
   * `audit.pruned` entry says so for each. @throws ProblemError `invalid_input`.
   */
  prune(scope: Scope, input: PruneAudit): Promise<Pruned>
  /**
   * Removes a person's data from the log, and leaves its chain valid: id, address and user agent from what they did, and
   * targets, data, `before` and `after` from what names them: as a user by the fields that hold users' ids (see
   * `AuditOptions.userFields`), or by one of the addresses.
   * Reads the whole log, and erases 500 entries in a transaction: what a crash leaves over, the next call takes. An
   * `audit.erased` entry at the end says how many there were. @throws ProblemError `invalid_input`.
   */
  erase(scope: Scope, input: EraseAudit): Promise<Erased>
}

export interface AuditParts extends Pick<Deps, 'storage' | 'runtime'> {
  options?: AuditOptions | undefined
  /** Who else hears of what happens to the log itself. */
  events?: EventSink | readonly EventSink[] | undefined
}

/** @throws ProblemError `setup_error` for options that cannot be. */
export function createAudit({ storage, runtime, options = {}, events }: AuditParts): Audit {
  const redact = createRedact(options.redact)
  const signer = createSigner(options.signingKey, options.olderKeys)

  async function add(entry: AuditEntry, tx: Tx | undefined): Promise<void> {
    const record = recordOf(entry, runtime.random)
    if (options.inline) return addSealed(record, entry.targets.slice(1), tx)
    const others = entry.targets.slice(1)
    // The entry alone is one statement.
    await storage.run(({ audit }) => audit.insertOrFind(record, others), tx, { savepoint: others.length > 0 })
  }

  /** The head's lock is taken here, after whatever the transaction has locked before, and held until it commits. */
  const addSealed = (record: AuditRecord, others: AuditResource[], tx: Tx | undefined) =>
    storage.run(async ({ audit, auditChain }) => {
      const { tenantId } = record
      const [link] = linksAfter(await auditChain.lockHead(tenantId, runtime.clock.now()), [record])
      if (!link || (await audit.insertOrFind({ ...record, ...link }, others))) return
      await auditChain.moveHead(tenantId, { seq: link.seq, hash: link.hash })
    }, tx)

  const entryFrom = (input: LogAuditEntry, origin: Pick<AuditEntry, 'id' | 'eventId' | 'time'>): AuditEntry => {
    const { tenantId = defaultTenantId, actor = systemActor, action, outcome = 'success', ...rest } = input
    const { ip = null, userAgent = null } = rest
    const targets = allTargets(rest.resource ?? undefined, rest.targets)
    const data = redact('/data', rest.data ?? {})
    const before = rest.before ? redact('/before', rest.before) : null
    const after = rest.after ? redact('/after', rest.after) : null
    const requestId = rest.requestId == null ? null : fit(rest.requestId, maxRequestId)
    const about = { tenantId, actor, action, resource: targets[0] ?? null, targets, outcome }
    return { ...origin, ...about, data, before, after, ip, userAgent, requestId }
  }

  const sink: Audit['sink'] = async (event, tx) => {
    const { id: eventId, time, type: action, ...rest } = parse(RecordedEvent, event)
    const entry = entryFrom({ ...rest, action }, { id: entryIdOf(eventId), eventId, time })
    await add(entry, storage.owns(tx) ? tx : undefined)
  }
  const emit = createEmit<typeof rbacEvents>(runtime, sink, events)

  return {
    async log(input, { tx = input.tx } = {}) {
      const origin = { id: runtime.id('aud'), eventId: null, time: runtime.clock.now() }
      const entry = entryFrom(parse(LogAuditEntry, input), origin)
      await add(entry, tx)
      return entry
    },

    async query(scope, query = {}) {
      const { tenantId, tx } = checkScope(scope)
      const { limit, cursor, ...filter } = parse(AuditQuery, query)
      const page = await storage.read(
        ({ audit }) =>
          paginate(
            { limit, cursor },
            ['number', 'string'],
            (slice) => audit.list(tenantId, filter, slice),
            (last) => [last.time, last.id],
          ),
        tx,
      )
      return { ...page, data: page.data.map(entryOf) }
    },

    sink,
    export: createExport({ storage }, emit),
    activity: createActivity({ storage }),
    ...createSealer({ storage, runtime, signer }, options),
    verify: createVerify({ storage }, signer),
    prune: createPrune({ storage, runtime }, emit, options),
    erase: createErase({ storage }, emit, options),
  }
}

/** As much of a request's id as an index takes. */
const maxRequestId = 255

/** An event that comes again makes the same entry, which the primary key keeps out; an id of ours keeps its order. */
function entryIdOf(eventId: string): string {
  const ulid = /^evt_([0-9a-z]{26})$/.exec(eventId)?.[1]
  return `aud_${ulid ?? sha256(eventId).slice(0, 26)}`
}

function allTargets(first: AuditResource | undefined, targets: readonly AuditResource[] = []): AuditResource[] {
  const all = new Map<string, AuditResource>()
  for (const target of [...(first ? [first] : []), ...targets])
    all.set(JSON.stringify([target.type, target.id]), target)
  return [...all.values()]
}
