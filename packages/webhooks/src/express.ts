/** The management API as an `express.Router()`, for Express 4 and 5. */
import type { RouterOptions } from '@org/core'
import { expressRouter } from '@org/core/express'
import type { Request, Router } from 'express'
import type { Webhooks } from './webhooks.js'

export type { ReceivedWebhook, ReceiverOptions } from './receiver/core.js'
export { receiverErrors } from './receiver/errors.js'
export { type WebhookHandler, webhookReceiver } from './receiver/express.js'
export { type Claim, type ReplayCache, type ReplayCacheOptions, replayCache } from './receiver/replay.js'
export { type ExpressRequestEvents, requestEvents } from './request-events/express.js'
export type {
  RequestEvent,
  RequestEventsOptions,
  RequestEventsPublisher,
  RequestTenant,
} from './request-events/tell.js'

/** Mount it where you like: `app.use('/api/webhooks', webhooksRouter(webhooks, { context }))`. */
export function webhooksRouter(webhooks: Pick<Webhooks, 'http'>, options: RouterOptions<Request>): Router {
  return expressRouter(webhooks.http, options)
}
