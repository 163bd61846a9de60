/** Who asks, for which tenant, and what they may do: the one thing that a host must tell every module. */
import { z } from 'zod'
import { parse } from './errors.js'
import type { Tx } from './storage.js'

const maxIdLength = 128
// Half a surrogate pair (Cs) becomes U+FFFD in SQL, which would make one user of two.
const idPattern = /^[^\s\p{Cc}\p{Cs}](?:[^\p{Cc}\p{Cs}]*[^\s\p{Cc}\p{Cs}])?$/u

/** A tenant's or a user's id as the host gives it: any text without surrounding space or control characters. */
export const ExternalId = z
  .string()
  .min(1)
  .max(maxIdLength)
  .regex(idPattern, 'must not start or end with a space or hold control characters')

/** The same question without its answer in words, for where each request asks it. */
export function isExternalId(value: unknown): value is string {
  if (typeof value !== 'string' || value.length > maxIdLength) return false
  return isPlain(value) || idPattern.test(value)
}

/** Nearly all ids are printable ASCII without spaces, which is seen in a tenth of the time. */
function isPlain(value: string): boolean {
  for (let i = 0; i < value.length; i++) {
    const code = value.charCodeAt(i)
    if (code <= 0x20 || code >= 0x7f) return false
  }
  return value.length > 0
}

/** Who does something. `key` is an API key acting for itself; `system` is the host's own code. */
export const Actor = z.object({ type: z.enum(['user', 'key', 'system']), id: ExternalId })
export type Actor = z.infer<typeof Actor>

/** The same question without its answer in words. */
export function isActor(value: unknown): value is Actor {
  const { type, id } = (value ?? {}) as Partial<Record<keyof Actor, unknown>>
  return (type === 'user' || type === 'key' || type === 'system') && isExternalId(id)
}

/** Any CASL ability fits, from `rbac.context(…)` or from the host's own `defineAbility(…)`. */
export interface Ability {
  can(action: string, subject: string | object, field?: string): boolean
}

/** Where a request came from; filled in by the router when the host's `context` leaves it out. */
export interface RequestInfo {
  ip?: string | undefined
  userAgent?: string | undefined
  requestId?: string | undefined
}

/** What was refused with a 403 to a caller who is known. */
export interface DeniedAttempt {
  /** What was asked for, as far as it is known: `create` on `keys`. */
  action?: string | undefined
  resource?: string | undefined
  /**
   * What it was to be done to: the thing that the route is about, by its id as it was sent and nobody has checked. Without
   * an id it is whatever is of that type.
   */
  target?: { type: string; id?: string | undefined } | undefined
  /** The route of ours, such as `rbac.assignRole`; undefined behind a guard on a route of the host's own. */
  routeId?: string | undefined
  /** The error's code: `forbidden`, `exceeds_own_rights`. */
  code: string
  detail: string | undefined
}

/** What `context(req)` answers for an identified caller. There is no default ability. */
export interface RequestContext extends RequestInfo {
  tenantId: string
  actor: Actor
  ability: Ability
  tx?: Tx | undefined
  /** Sent with the answer, whatever it is: `rbac.context(…)` says here where an API key stands in its rate limit. */
  responseHeaders?: Readonly<Record<string, string>> | undefined
  /**
   * Told of each 403 after its work was rolled back, and waited for. It cannot change the answer: what it throws goes to
   * the logger. `origin` is what the router knows. `rbac.context(…)` sets it, so that refusals of every module are in the audit log.
   */
  onDenied?: ((attempt: DeniedAttempt, origin: RequestInfo) => void | Promise<void>) | undefined
}

/**
 * For whom a service acts. Every management call takes one first: a {@link RequestContext} fits as it is, and the
 * host's own code writes `{ tenantId }`, with `tx` to join its transaction. The actor is then `system`.
 * Services enforce rules, not permissions; the router and the guards do that.
 */
export interface Scope extends RequestInfo {
  tenantId: string
  actor?: Actor | undefined
  tx?: Tx | undefined
}

/** The actor of calls that the host's own code makes. */
export const systemActor: Actor = { type: 'system', id: 'system' }

/**
 * What every service calls first: JavaScript callers may hand in anything, and a missing tenant must never be taken for
 * every tenant. @throws ProblemError `invalid_input`.
 */
export function checkScope<S extends Scope>(scope: S): S {
  parse(ExternalId, scope?.tenantId, '/tenantId')
  parse(Actor.optional(), scope.actor, '/actor')
  return scope
}
