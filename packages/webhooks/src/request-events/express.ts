/** Request events for Express 4 and 5. */
import type { Request, RequestHandler } from 'express'
import { createRequestEvents, type RequestEventsOptions, type RequestEventsPublisher } from './tell.js'

/** A middleware, and `flush()`: publishes what waits, to be called before the process ends. */
export type ExpressRequestEvents = RequestHandler & { flush(): Promise<void> }

/**
 * Publishes how requests went. Mount it before your routes: `app.use(requestEvents(webhooks, { tenant: (req) => … }))`.
 * Everything happens after the response; nothing of it can slow or fail one.
 *
 * @throws ProblemError `invalid_input` for an option that is not one.
 */
export function requestEvents(
  webhooks: RequestEventsPublisher,
  options: RequestEventsOptions<Request>,
): ExpressRequestEvents {
  const events = createRequestEvents(webhooks, options)
  const handler: RequestHandler = (request, response, next) => {
    const startedAt = events.begin()
    response.once('close', () => {
      const { method } = request
      const requestId = request.get('x-request-id')
      const status = response.writableFinished ? response.statusCode : null
      events.ended(request, { method, path: pathOf(request), requestId }, { status }, startedAt)
    })
    next()
  }
  return Object.assign(handler, { flush: events.flush })
}

/** Of a route that matched, its pattern: there are fewer of them than of paths, and they hold nobody's ids. */
function pathOf(request: Request): string {
  const pattern: unknown = request.route?.path
  if (typeof pattern === 'string') return request.baseUrl + pattern
  return request.originalUrl.split('?', 1)[0] ?? ''
}
