/** Receiving in an Express 4 or 5 app. */
import type { ServerResponse } from 'node:http'
import type { Request, RequestHandler } from 'express'
import { createReceiver, type ReceivedWebhook, type ReceiverOptions } from './core.js'

/** The handlers behind it find the webhook in `res.locals.webhook`, with its type. */
export type WebhookHandler<Payload> = RequestHandler<
  Request['params'],
  unknown,
  unknown,
  Request['query'],
  { webhook: ReceivedWebhook<Payload> }
>

/**
 * A middleware that lets verified webhooks pass, each once: `app.post('/in', webhookReceiver({ secrets }), handler)`. It
 * reads the body itself; a parser in front of it must keep the bytes. The webhook is `res.locals.webhook`, and
 * `req.webhook` for code without types. A handler that answers anything but 2xx gets it again when the sender retries.
 *
 * Answers problem documents: 400 and 401 by `receiverErrors`, 409 `webhook_in_progress`, 413, and 500 `setup_error` when
 * a parser has eaten the bytes; and 204 to what was handled before. See docs/webhooks/receiving.md.
 *
 * @throws ProblemError `setup_error` for options that cannot work.
 */
export function webhookReceiver<Payload = unknown>(options: ReceiverOptions): WebhookHandler<Payload> {
  const receive = createReceiver<Payload>(options)
  return (request, response, next) => {
    const keptBody = (request as { rawBody?: unknown }).rawBody
    receive({ raw: request, keptBody, parsedBody: request.body })
      .then((reception) => {
        if (!reception.pass) {
          const { status, headers, body } = reception.response
          if (!response.headersSent) response.status(status).set(headers).end(body)
          return
        }
        const { webhook, settle } = reception
        response.locals.webhook = webhook
        Object.assign(request, { webhook })
        onAnswer(response, settle)
        next()
      })
      .catch(next)
  }
}

/**
 * Tells the status once the handler has ended the response. A sender that hung up does not mean that the handler has
 * ended too: it is waited for, and until then the sender's next try must not start a second one.
 */
function onAnswer(response: ServerResponse, tell: (status: number) => unknown): void {
  const closed = () => {
    if (response.writableEnded) return tell(response.statusCode)
    // Nothing is emitted any more by a response that has lost its connection.
    const end = response.end.bind(response) as (...args: unknown[]) => typeof response
    response.end = (...args: unknown[]) => {
      tell(response.statusCode)
      return end(...args)
    }
  }
  if (response.closed) closed()
  else response.once('close', closed)
}
