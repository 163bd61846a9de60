/** Forgets what a message said. */
import { checkId, checkScope, coreErrors, type Scope } from '@org/core'
import { cancelWaiting } from '../deliveries/cancel.js'
import type { Deps } from '../deps.js'

/** What `webhooks.messages` has of this. */
export interface Expunging {
  /**
   * Forgets a message's payload, and the bodies of the answers to it, which may repeat it. What is still to be sent is
   * canceled; an attempt under way may still arrive, and is not noted. The idempotency key goes on publishing nothing
   * twice. Does nothing the second time. Answers how many deliveries were canceled.
   *
   * @throws ProblemError `not_found`.
   */
  expunge(scope: Scope, id: string): Promise<{ canceled: number }>
}

const notLeased = { leaseToken: null, leaseUntil: null, counted: null }

export function createExpunging({ storage, runtime, emit }: Pick<Deps, 'storage' | 'runtime' | 'emit'>): Expunging {
  return {
    async expunge(scope, id) {
      const { tenantId } = checkScope(scope)
      checkId(id)
      return storage.run(async (stores, tx) => {
        const { messages, retention } = stores
        const found = await messages.get(tenantId, id)
        if (!found) throw coreErrors.not_found()
        if (found.body === null) return { canceled: 0 }
        await messages.update(id, { fanOutAfter: null })
        // What is being sent loses its lease, so that nothing more is noted of it.
        const canceled = await cancelWaiting(stores, { messageId: id }, runtime.clock.now(), notLeased)
        await retention.forgetPayloads([id])
        const data = { messageId: id, eventType: found.type, canceled }
        await emit(scope, { type: 'message.expunged', resource: { type: 'message', id }, data }, tx)
        return { canceled }
      }, scope.tx)
    },
  }
}
