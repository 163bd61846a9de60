/** Refused attempts in the log, without letting an attacker fill it. */
import { coreErrors, type DeniedAttempt, type Logger, type RequestContext } from '@org/core'
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible'
import { fit } from './fit.js'
import type { AuditOptions } from './options.js'
import { AuditResource } from './schema.js'
import type { Audit } from './service.js'

/** Actors whose suppressed attempts are remembered at once. */
const maxActors = 10_000

export type OnDenied = (who: Omit<RequestContext, 'ability' | 'onDenied'>, attempt: DeniedAttempt) => Promise<void>

/**
 * Logs a refusal as `access.denied`, in a transaction of its own: the one of the request is rolled back. Beyond so many
 * of one actor in a minute they are only counted; the actor's next entry says how many there were (`suppressed`).
 */
export function createDenied(
  log: Audit['log'],
  logger: Logger,
  { deniedPerMinute = 10 }: Pick<AuditOptions, 'deniedPerMinute'> = {},
): OnDenied {
  if (!(Number.isInteger(deniedPerMinute) && deniedPerMinute > 0)) {
    throw coreErrors.setup_error({ detail: '`audit.deniedPerMinute` must be a positive whole number.' })
  }
  const limiter = new RateLimiterMemory({ points: deniedPerMinute, duration: 60 })
  const suppressed = new Map<string, number>()

  const suppress = (key: string) => {
    const [oldest] = suppressed.keys()
    if (suppressed.size >= maxActors && oldest !== undefined && !suppressed.has(key)) suppressed.delete(oldest)
    suppressed.set(key, (suppressed.get(key) ?? 0) + 1)
  }

  return async (who, { action, resource, target, routeId, code, detail }) => {
    const { tenantId, actor, ip, userAgent, requestId, tx } = who
    const key = JSON.stringify([tenantId, actor.type, actor.id])
    try {
      await limiter.consume(key)
    } catch (refusal) {
      if (!(refusal instanceof RateLimiterRes)) throw refusal
      return suppress(key)
    }
    const missed = suppressed.get(key)
    suppressed.delete(key)
    const permission = resource && action ? `${resource}:${action}` : undefined
    const data = { permission, route: routeId, code, detail, suppressed: missed }
    const about = { action: 'access.denied', outcome: 'denied', resource: targetOf(target), data } as const
    const written = log({ tenantId, actor, ...about, ip, userAgent, requestId })
    // A transaction of the request's own is still open, and on a pool of one ours waits for it.
    if (!tx) return void (await written)
    written.catch((error: unknown) => logger.error('A refused attempt could not be noted', { error }))
  }
}

/** What stands for the id of a refusal that was over things of a type, and not over one of them. */
const any = '*'

/** An id is as somebody sent it. None keeps the refusal out of the log: what does not fit there is cut or replaced. */
function targetOf(target: DeniedAttempt['target']): AuditResource | undefined {
  if (typeof target?.type !== 'string') return undefined
  const id = typeof target.id === 'string' && target.id !== '' ? target.id : any
  return AuditResource.safeParse({ type: fit(target.type, 64), id: fit(id, 255) }).data
}
