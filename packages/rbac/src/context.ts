/** From the host's own sign-in to a request context. */
import type { IncomingHttpHeaders } from 'node:http'
import {
  type Ability,
  coreErrors,
  isExternalId,
  isPromise,
  type RequestContext,
  type RequestInfo,
  type RouterOptions,
  type Tx,
} from '@org/core'
import type { OnDenied } from './audit/denied.js'
import type { Authenticate } from './keys/authenticate.js'
import { defaultTenantId } from './tenants/default.js'

/** Who is signed in, as the host knows it from the session or token; never from the body. */
export interface Identity extends RequestInfo {
  userId: string
  /** {@link defaultTenantId} unless told. */
  tenantId?: string | undefined
  tx?: Tx | undefined
}

/** A request that carries an API key instead: `apiKeyOf(req.headers)` finds it. */
export interface KeyIdentity extends Pick<RequestInfo, 'userAgent' | 'requestId'> {
  apiKey: string
  /** The caller's address; `request.ip` of Express or Koa unless told. */
  ip?: string | undefined
  tx?: Tx | undefined
}

type Found = Identity | KeyIdentity | null

/** The host's own: answers null if nobody is signed in. */
export type Identify<Request> = (request: Request) => Found | Promise<Found>

export function createContext(
  abilityOf: (tenantId: string, userId: string, tx: Tx | undefined) => Ability | Promise<Ability>,
  authenticate: Authenticate,
  onDenied: OnDenied,
) {
  const ofKey = oncePerRequest(async ({ apiKey, ip, userAgent, requestId, tx }) => {
    const found = await authenticate(apiKey, { ip, userAgent, requestId, tx }, onDenied)
    if (!found) return null
    const { tenantId, actor } = found
    return {
      ...{ ...found, ip, userAgent, requestId, tx },
      onDenied: (attempt, origin) => onDenied({ ...origin, tenantId, actor, tx }, attempt),
    }
  })

  // At once where what is asked is remembered: each turn of the event loop is felt on every request.
  return <Request>(identify: Identify<Request>): RouterOptions<Request>['context'] =>
    (request) => {
      const answer = identify(request)
      return isPromise(answer) ? Promise.resolve(answer).then((late) => found(request, late)) : found(request, answer)
    }

  function found(request: unknown, identity: Found): ReturnType<RouterOptions<unknown>['context']> {
    // From JavaScript, also what `&&` leaves of nobody, and a header that is not there or is there twice.
    if (!identity) return null
    if ('apiKey' in identity) return typeof identity.apiKey === 'string' ? ofKey(request, identity) : null
    const { userId, tenantId = defaultTenantId, tx } = identity
    if (!isExternalId(userId)) throw wrongId('userId')
    if (!isExternalId(tenantId)) throw wrongId('tenantId')
    const ability = abilityOf(tenantId, userId, tx)
    return isPromise(ability)
      ? ability.then((late) => memberContext(identity, tenantId, late))
      : memberContext(identity, tenantId, ability)
  }

  function memberContext(identity: Identity, tenantId: string, ability: Ability): RequestContext {
    const { userId, ip, userAgent, requestId, tx } = identity
    const actor = { type: 'user' as const, id: userId }
    return {
      tenantId,
      actor,
      ability,
      ip,
      userAgent,
      requestId,
      tx,
      onDenied: (attempt, origin) => onDenied({ ...origin, tenantId, actor, tx }, attempt),
    }
  }
}

function wrongId(name: string) {
  const detail = `rbac.context: identify(req) answered a \`${name}\` that is not text of 1 to 128 characters.`
  return coreErrors.setup_error({ detail: `${detail} Answer null if nobody is signed in.` })
}

type AskKey = (identity: KeyIdentity) => Promise<RequestContext | null>

/** A request that passes several guards and a router is one request to its key's limit. */
function oncePerRequest(ask: AskKey): (request: unknown, identity: KeyIdentity) => Promise<RequestContext | null> {
  const asked = new WeakMap<object, { from: unknown[]; answer: Promise<RequestContext | null> }>()
  return (request, identity) => {
    const raw = rawOf(request)
    const { ip = addressOf(request) } = identity
    const from = [identity.apiKey, identity.tx, ip]
    const earlier = raw && asked.get(raw)
    if (earlier?.from.every((part, i) => part === from[i])) return earlier.answer
    // A key that is refused is noted as well, with where it came from.
    const { userAgent = headerOf(raw, 'user-agent', 512), requestId = headerOf(raw, 'x-request-id', 128) } = identity
    const answer = ask({ ...identity, ip, userAgent, requestId })
    if (raw) asked.set(raw, { from, answer })
    return answer
  }
}

/** By the framework's own trust-proxy rules: `ip` on the request of Express and on the context of Koa. */
function addressOf(request: unknown): string | undefined {
  const ip = typeof request === 'object' && request !== null && 'ip' in request ? request.ip : undefined
  return typeof ip === 'string' ? ip : undefined
}

/** What Node.js made of the request, which every part of an app sees. */
function rawOf(request: unknown): object | null {
  if (typeof request !== 'object' || request === null) return null
  const inner = 'req' in request ? request.req : null
  return typeof inner === 'object' && inner !== null && 'headers' in inner ? inner : request
}

function headerOf(raw: object | null, name: string, length: number): string | undefined {
  const headers = raw && 'headers' in raw ? (raw.headers as IncomingHttpHeaders | null) : null
  const value = headers?.[name]
  return typeof value === 'string' ? value.slice(0, length) : undefined
}
