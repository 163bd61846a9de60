/** From the host's own sign-in to a request context. */
import {
  type Ability,
  type Actor,
  coreErrors,
  ExternalId,
  type RequestContext,
  type RequestInfo,
  type Tx,
} from '@org/core'
import type { OnDenied } from './audit/denied.js'
import { defaultTenantId } from './tenants/default.js'

/** Who is signed in, as the host knows it from the session or token; never from the body. */
export interface Identity extends RequestInfo {
  userId: string
  /** {@link defaultTenantId} unless told. */
  tenantId?: string | undefined
  tx?: Tx | undefined
}

/** The host's own: answers null if nobody is signed in. */
export type Identify<Request> = (request: Request) => Identity | null | Promise<Identity | null>

export function createContext(
  abilityOf: (who: { tenantId: string; actor: Actor }, tx: Tx | undefined) => Promise<Ability>,
  onDenied: OnDenied,
) {
  return <Request>(identify: Identify<Request>): ((request: Request) => Promise<RequestContext | null>) =>
    async (request) => {
      const identity = await identify(request)
      if (identity === null || identity === undefined) return null
      const { userId, tenantId = defaultTenantId, ip, userAgent, requestId, tx } = identity
      for (const [name, id] of Object.entries({ userId, tenantId })) {
        if (ExternalId.safeParse(id).success) continue
        const detail = `rbac.context: identify(req) answered a \`${name}\` that is not text of 1 to 128 characters.`
        throw coreErrors.setup_error({ detail: `${detail} Answer null if nobody is signed in.` })
      }
      const actor = { type: 'user' as const, id: userId }
      const ability = await abilityOf({ tenantId, actor }, tx)
      return {
        ...{ tenantId, actor, ability, ip, userAgent, requestId, tx },
        onDenied: (attempt, origin) => onDenied({ ...origin, tenantId, actor, tx }, attempt),
      }
    }
}
