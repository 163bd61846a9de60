/** Tells whoever set `onDenied` on the context of what was refused. */
import type { DeniedAttempt, RequestContext } from '../context.js'
import { isProblem } from '../errors.js'
import type { Logger } from '../runtime.js'

/** Does nothing but for a 403 of a known caller. Never rejects: a log that fails must not change the answer. */
export async function tellOfDenial(
  error: unknown,
  caller: { readonly context: RequestContext | undefined } | undefined,
  { routeId }: { routeId?: string },
  logger: Logger,
): Promise<void> {
  // Read inside, since a host's own context may answer it by a getter that throws.
  try {
    if (!isProblem(error) || error.status !== 403) return
    const context = caller?.context
    if (!context?.onDenied) return
    const { action, resource } = error.extensions ?? {}
    const attempt: DeniedAttempt = {
      action: typeof action === 'string' ? action : undefined,
      resource: typeof resource === 'string' ? resource : undefined,
      routeId,
      code: error.code,
      detail: error.detail,
    }
    const { ip, userAgent, requestId } = context
    await context.onDenied(attempt, { ip, userAgent, requestId })
  } catch (failure) {
    logger.error('A refused attempt could not be noted', { routeId, error: failure })
  }
}
