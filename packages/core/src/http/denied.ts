/** Tells whoever set `onDenied` on the context of what was refused. */
import type { DeniedAttempt, RequestContext } from '../context.js'
import { isProblem } from '../errors.js'
import type { Logger } from '../runtime.js'
import type { HttpRequest } from './message.js'
import { pathParameters, type Route } from './route.js'

/** The route that refused; nothing behind a guard on a route of the host's own. */
type Asked = { route: Route; request: HttpRequest } | undefined

/** Does nothing but for a 403 of a known caller. Never rejects: a log that fails must not change the answer. */
export async function tellOfDenial(
  error: unknown,
  caller: { readonly context: RequestContext | undefined } | undefined,
  asked: Asked,
  logger: Logger,
): Promise<void> {
  // Read inside, since a host's own context may answer it by a getter that throws.
  try {
    if (!isProblem(error) || error.status !== 403) return
    const context = caller?.context
    if (!context?.onDenied) return
    const { action, resource } = textsOf(error.extensions)
    const attempt: DeniedAttempt = {
      ...{ action, resource, target: targetOf(asked, resource), routeId: asked?.route.id },
      code: error.code,
      detail: error.detail,
    }
    const { ip, userAgent, requestId } = context
    await context.onDenied(attempt, { ip, userAgent, requestId })
  } catch (failure) {
    logger.error('A refused attempt could not be noted', { routeId: asked?.route.id, error: failure })
  }
}

function textsOf({ action, resource }: Record<string, unknown> = {}): Pick<DeniedAttempt, 'action' | 'resource'> {
  const textOf = (value: unknown) => (typeof value === 'string' ? value : undefined)
  return { action: textOf(action), resource: textOf(resource) }
}

/** Where no route says what its path names, as behind a guard, the permission's resource is as near as one comes. */
function targetOf(asked: Asked, resource: string | undefined): DeniedAttempt['target'] {
  const { about: type, path } = asked?.route ?? {}
  if (type === undefined || path === undefined) return resource === undefined ? undefined : { type: resource }
  const [name] = pathParameters(path)
  return { type, id: name === undefined ? undefined : asked?.request.params[name] }
}
