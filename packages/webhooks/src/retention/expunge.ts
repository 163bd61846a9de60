/** Forgets what a message said. */
import { checkId, checkScope, coreErrors, type Scope } from '@org/core'
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

export function createExpunging({ storage, runtime, emit }: Pick<Deps, 'storage' | 'runtime' | 'emit'>): Expunging {
  return {
    async expunge(scope, id) {
      const { tenantId } = checkScope(scope)
      checkId(id)
      return storage.run(async ({ messages, retention }, tx) => {
        const found = await messages.get(tenantId, id)
        if (!found) throw coreErrors.not_found()
        if (found.body === null) return { canceled: 0 }
        await messages.update(id, { fanOutAfter: null })
        const { length: canceled } = await retention.cancelMessage(id, runtime.clock.now())
        await retention.forgetPayloads([id])
        const data = { messageId: id, eventType: found.type, canceled }
        await emit(scope, { type: 'message.expunged', resource: { type: 'message', id }, data }, tx)
        return { canceled }
      }, scope.tx)
    },
  }
}
