/**
 * For receivers: checks webhooks signed by this module, or by anybody else who follows Standard Webhooks
 * (https://www.standardwebhooks.com). Knows nothing of endpoints and deliveries.
 */
import { checkWebhook, type VerifyOptions } from './verify/check.js'
import type { ReceivedHeaders } from './verify/headers.js'
import { verificationKeys } from './verify/keys.js'

export type { VerifyOptions } from './verify/check.js'
export { type VerificationErrorCode, WebhookVerificationError } from './verify/error.js'
export type { ReceivedHeaders } from './verify/headers.js'

/**
 * Checks the three headers (`webhook-id`, `webhook-timestamp`, `webhook-signature`, or all three as `svix-…`) over the
 * very bytes that were received, and answers the parsed body. `secrets` holds one, or several while they are rotated:
 * secrets (`whsec_…`, HMAC-SHA256) and public keys (`whpk_…`, Ed25519), in any mixture. A message can arrive more than
 * once: remember its id. `webhookReceiver` of `@org/webhooks/express` and `/koa` does all of that.
 *
 * @throws WebhookVerificationError
 */
export function verifyWebhook<Body = unknown>(
  secrets: string | readonly string[],
  headers: ReceivedHeaders,
  rawBody: string | Uint8Array,
  options: VerifyOptions = {},
): Body {
  return checkWebhook(verificationKeys(secrets), headers, rawBody, options).payload as Body
}
