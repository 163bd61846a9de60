/**
 * Erasure of one person (GDPR art. 17). The chain holds salted commitments to what goes, and its hashes stay as they are;
 * with the salt gone, nobody can try out what had been there.
 */
import { setImmediate as othersTurn } from 'node:timers/promises'
import { type Actor, checkScope, type Emit, parse, type Scope } from '@org/core'
import type { Deps } from '../deps.js'
import type { rbacEvents } from '../events.js'
import { createPersonOf } from './erase-person.js'
import type { AuditOptions } from './options.js'
import { type AuditRecord, entryOf } from './record.js'
import { type AuditPart, EraseAudit, erasedId } from './schema.js'
import type { AuditPosition, AuditStore } from './store.js'

export interface Erased {
  /** Entries whose actor, address and user agent went. */
  who: number
  /** Entries whose targets, data, before and after went. */
  what: number
}

const slice = 500

export function createErase(
  { storage }: Pick<Deps, 'storage'>,
  emit: Emit<typeof rbacEvents>,
  { userFields }: Pick<AuditOptions, 'userFields'> = {},
) {
  const personOf = createPersonOf(userFields)
  return async (scope: Scope, input: EraseAudit): Promise<Erased> => {
    const { tenantId, actor, tx } = checkScope(scope)
    const { userId, emails } = parse(EraseAudit, input)
    const { texts, isNamedIn } = personOf({ userId, emails })
    /** One slice in one transaction, so that nobody waits for years of them. */
    const erase = (part: AuditPart, records: AuditRecord[]) =>
      storage.run(
        ({ audit }) =>
          audit.erase(
            tenantId,
            part,
            records.map(({ time, id }) => [time, id]),
          ),
        tx,
      )
    const read = (work: (audit: AuditStore) => Promise<AuditRecord[]>) => storage.read(({ audit }) => work(audit), tx)

    const erased: Erased = { who: 0, what: 0 }
    for await (const records of slices((after) =>
      read((audit) => audit.by(tenantId, userId, { limit: slice, after })),
    )) {
      await erase('who', records)
      erased.who += records.length
    }
    for await (const records of slices((after) =>
      read((audit) => audit.naming(tenantId, texts, { limit: slice, after })),
    )) {
      // The store finds whatever may name them; what does is for the entry itself to say.
      const about = records.filter((record) => isNamedIn(entryOf(record)))
      if (about.length > 0) await erase('what', about)
      erased.what += about.length
    }
    // Who erases themselves must not come back into the log by it.
    const isSelf = actor?.type === 'user' && actor.id === userId
    const nobody: Actor = { type: 'user', id: erasedId }
    const by: Scope = isSelf ? { tenantId, actor: nobody } : scope
    await storage.run((_, own) => emit(by, { type: 'audit.erased', data: { ...erased } }, own), tx)
    return erased
  }
}

async function* slices(read: (after: AuditPosition | null) => Promise<AuditRecord[]>): AsyncGenerator<AuditRecord[]> {
  for (let after: AuditPosition | null = null; ; ) {
    const records: AuditRecord[] = await read(after)
    if (records.length > 0) yield records
    const last = records.at(-1)
    if (!last || records.length < slice) return
    after = [last.time, last.id]
    // SQLite answers without letting go of the process.
    await othersTurn()
  }
}
