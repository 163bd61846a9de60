/** Whether whoever registered a URL is its owner: it is asked to send back what it was sent, before anything else. */
import { checkId, checkScope, coreErrors, type Scope } from '@org/core'
import { createOutgoing } from '../delivery/outgoing.js'
import { createSender, defaultTimeoutMs } from '../delivery/sender.js'
import type { Deps } from '../deps.js'
import { webhooksErrors } from '../errors.js'
import { challengeType } from '../event-types/catalog.js'
import { createDrafting } from '../messages/draft.js'
import { enableEndpoint } from './enabling.js'
import { publicPart, saveEndpoint } from './save.js'
import type { Endpoint, StoredEndpoint } from './schema.js'

export interface Challenges {
  /**
   * Sends a signed `webhook.challenge` and enables the endpoint if the answer is a 2xx with `{ "challenge": … }`, the one
   * that stands in `data`; one that somebody disabled stays disabled, and can be enabled from then on. For hosts that ask
   * for it (`challenge: true`). Nothing is retried: call it again.
   *
   * @throws ProblemError `not_found`; `challenge_failed` with what came instead; `setup_error` for a scope with `tx`, which
   *   would be open while the network is waited for.
   */
  verify(scope: Scope, id: string): Promise<Endpoint>
}

export function createChallenges(deps: Deps): Challenges {
  const { storage, runtime, network, guard, wake } = deps
  const { clock, random } = runtime
  const { messageOf } = createDrafting(deps)
  const outgoing = createOutgoing({ vault: deps.vault, hooks: {}, runtime })

  /** Answers null, or what is wrong with the answer. No transaction is open meanwhile. */
  async function ask(endpoint: StoredEndpoint): Promise<string | null> {
    const challenge = Buffer.from(random.bytes(24)).toString('base64url')
    const keys = { idempotencyKey: null, channels: null, orderingKey: null, coalesceKey: null }
    const message = messageOf({ tenantId: endpoint.tenantId, type: challengeType, data: { challenge }, ...keys })
    const content = outgoing({ ...message, body: message.body ?? '' }, endpoint, clock.now())
    if ('failed' in content) return content.failed.detail
    const { lookup, ca, proxy, timeoutMs = defaultTimeoutMs } = network
    const sender = createSender({ guard, lookup, ca, proxy, timeoutMs, clock })
    try {
      const { headers, body } = content
      const { error, detail, responseBody } = await sender.send({ url: endpoint.url, headers, body })
      if (error !== null) return detail ?? error
      return echoOf(responseBody) === challenge ? null : 'The answer does not hold the challenge that was sent.'
    } finally {
      await sender.close()
    }
  }

  return {
    async verify(scope, id) {
      const { tenantId, tx } = checkScope(scope)
      checkId(id)
      if (tx !== undefined) throw coreErrors.setup_error({ detail: noTransaction })
      const asked = await storage.read(({ endpoints }) => endpoints.get(tenantId, id))
      if (!asked) throw coreErrors.not_found()
      if (!asked.unverified) return publicPart(asked)
      const wrong = await ask(asked)
      if (wrong !== null) throw webhooksErrors.challenge_failed({ detail: wrong })
      const verified = await storage.run(async (stores, own) => {
        const found = await stores.endpoints.lock(tenantId, id)
        if (!found) throw coreErrors.not_found()
        if (found.url !== asked.url) throw webhooksErrors.challenge_failed({ detail: 'The URL was changed meanwhile.' })
        if (!found.unverified) return publicPart(found)
        if (found.disabledReason === 'unverified') return enableEndpoint(deps, scope, found, stores, own)
        return saveEndpoint(deps, scope, 'endpoint.updated', found, { unverified: false }, stores, own)
      })
      wake([id])
      return verified
    },
  }
}

const noTransaction = '`endpoints.verify` waits for the network: call it without `tx`, outside of your transaction.'

function echoOf(body: string | null): unknown {
  try {
    return (JSON.parse(body ?? '') as { challenge?: unknown } | null)?.challenge
  } catch {
    return undefined
  }
}
