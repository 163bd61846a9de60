/** Removes old entries, whole checkpointed segments at a time: the checkpoint goes on standing for what went. */
import { setImmediate as othersTurn } from 'node:timers/promises'
import { checkScope, type Emit, parse, type Scope } from '@org/core'
import type { Deps } from '../deps.js'
import type { rbacEvents } from '../events.js'
import type { RbacStores } from '../storage/port.js'
import type { AuditOptions } from './options.js'
import { PruneAudit } from './schema.js'

export interface Pruned {
  /** Entries that went. */
  entries: number
  segments: number
}

export function createPrune(
  { storage, runtime }: Pick<Deps, 'storage' | 'runtime'>,
  emit: Emit<typeof rbacEvents>,
  { anchor, stream }: AuditOptions,
) {
  /** What there is to keep of a segment's entries elsewhere must be there first. */
  async function nextSegment({ auditChain }: RbacStores, tenantId: string, before: number) {
    const head = await auditChain.lockHead(tenantId, runtime.clock.now())
    const [checkpoint] = await auditChain.checkpoints(tenantId, head.prunedSeq, 1)
    if (!checkpoint || (stream && head.streamedSeq < checkpoint.toSeq)) return null
    if (anchor && !(await auditChain.isAnchored(tenantId, checkpoint.toSeq))) return null
    const newest = await auditChain.newestTime(tenantId, head.prunedSeq, checkpoint.toSeq)
    return newest === null || newest < before ? checkpoint : null
  }

  return async (scope: Scope, input: PruneAudit): Promise<Pruned> => {
    const { tenantId, tx } = checkScope(scope)
    const limit = parse(PruneAudit, input)
    const before = 'before' in limit ? limit.before : runtime.clock.now() - limit.olderThanMs
    /** One segment in one transaction, so that nobody waits for years of them. */
    const pruneOne = () =>
      storage.run(async (stores, own) => {
        const segment = await nextSegment(stores, tenantId, before)
        if (!segment) return null
        const { fromSeq, toSeq } = segment
        const count = await stores.auditChain.removeThrough(tenantId, toSeq)
        await stores.auditChain.moveHead(tenantId, { prunedSeq: toSeq })
        await emit(scope, { type: 'audit.pruned', data: { fromSeq, toSeq, count } }, own)
        return count
      }, tx)
    const pruned: Pruned = { entries: 0, segments: 0 }
    for (let count = await pruneOne(); count !== null; count = await pruneOne()) {
      pruned.entries += count
      pruned.segments++
      // SQLite answers without letting go of the process.
      await othersTurn()
    }
    return pruned
  }
}
