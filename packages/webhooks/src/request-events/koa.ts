/** Request events for Koa 2 and 3. */
import type { Context, Middleware } from 'koa'
import { createRequestEvents, type RequestEventsOptions, type RequestEventsPublisher } from './tell.js'

/** A middleware, and `flush()`: publishes what waits, to be called before the process ends. */
export type KoaRequestEvents = Middleware & { flush(): Promise<void> }

/**
 * Publishes how requests went. Use it before your routes: `app.use(requestEvents(webhooks, { tenant: (ctx) => … }))`.
 * Everything happens after the response; nothing of it can slow or fail one.
 *
 * @throws ProblemError `invalid_input` for an option that is not one.
 */
export function requestEvents(
  webhooks: RequestEventsPublisher,
  options: RequestEventsOptions<Context>,
): KoaRequestEvents {
  const events = createRequestEvents(webhooks, options)
  const handler: Middleware = (context, next) => {
    const startedAt = events.begin()
    context.res.once('close', () => {
      const requestId = context.get('x-request-id') || undefined
      const status = context.res.writableFinished ? context.res.statusCode : null
      events.ended(context, { method: context.method, path: pathOf(context), requestId }, { status }, startedAt)
    })
    return next()
  }
  return Object.assign(handler, { flush: events.flush })
}

/** Of a route that matched, its pattern, as `@koa/router` leaves it: there are fewer of them, and they hold nobody's ids. */
function pathOf(context: Context & { _matchedRoute?: unknown }): string {
  const pattern = context._matchedRoute
  return typeof pattern === 'string' ? pattern : context.path
}
