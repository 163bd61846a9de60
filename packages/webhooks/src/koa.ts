/** The management API as a `@koa/router` Router, for Koa 2 and 3. */
import type Router from '@koa/router'
import type { RouterOptions } from '@org/core'
import { koaRouter } from '@org/core/koa'
import type { Context } from 'koa'
import type { Webhooks } from './webhooks.js'

export type { ReceivedWebhook, ReceiverOptions } from './receiver/core.js'
export { receiverErrors } from './receiver/errors.js'
export { webhookReceiver } from './receiver/koa.js'
export { type Claim, type ReplayCache, type ReplayCacheOptions, replayCache } from './receiver/replay.js'
export { type KoaRequestEvents, requestEvents } from './request-events/koa.js'
export type {
  RequestEvent,
  RequestEventsOptions,
  RequestEventsPublisher,
  RequestTenant,
} from './request-events/tell.js'

/** Mount it where you like: `parent.use('/api/webhooks', webhooksRouter(webhooks, { context }).routes())`. */
export function webhooksRouter(webhooks: Pick<Webhooks, 'http'>, options: RouterOptions<Context>): Router {
  return koaRouter(webhooks.http, options)
}
