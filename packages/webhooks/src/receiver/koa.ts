/** Receiving in a Koa 2 or 3 app. */
import type { Middleware } from 'koa'
import { createReceiver, type ReceivedWebhook, type ReceiverOptions } from './core.js'

/**
 * A middleware that lets verified webhooks pass, each once: `router.post('/in', webhookReceiver({ secrets }), handler)`.
 * It reads the body itself; a parser in front of it must keep the bytes, as @koa/bodyparser does. The webhook is
 * `ctx.state.webhook`. A handler that throws or answers anything but 2xx gets it again when the sender retries.
 *
 * Answers problem documents: 400 and 401 by `receiverErrors`, 409 `webhook_in_progress`, 413, and 500 `setup_error` when
 * a parser has eaten the bytes; and 204 to what was handled before. See docs/webhooks/receiving.md.
 *
 * @throws ProblemError `setup_error` for options that cannot work.
 */
export function webhookReceiver<Payload = unknown>(
  options: ReceiverOptions,
): Middleware<{ webhook: ReceivedWebhook<Payload> }> {
  const receive = createReceiver<Payload>(options)
  return async (ctx, next) => {
    const { body, rawBody } = ctx.request as { body?: unknown; rawBody?: unknown }
    const keptBody = rawBody ?? (ctx.req as { rawBody?: unknown }).rawBody
    const reception = await receive({ raw: ctx.req, keptBody, parsedBody: body })
    if (!reception.pass) {
      const { status, headers, body } = reception.response
      ctx.status = status
      ctx.body = body ?? null
      ctx.status = status
      ctx.set(headers)
      return
    }
    const { webhook, settle } = reception
    ctx.state.webhook = webhook
    try {
      await next()
    } catch (error) {
      await settle(500)
      throw error
    }
    await settle(ctx.status)
  }
}
