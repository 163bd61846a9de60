/** Makes of a message what is sent to an endpoint: body, signatures, and the headers of the host's and the customer's. */
import type { Deps } from '../deps.js'
import { publicPart } from '../endpoints/save.js'
import type { Endpoint, StoredEndpoint } from '../endpoints/schema.js'
import { vaultContext } from '../endpoints/secrets.js'
import type { Message, MessageBody } from '../messages/schema.js'
import type { SentMessage } from '../messages/store.js'
import { extraSignatureHeader } from '../signing/extra.js'
import { HeaderName, HeaderValue } from '../signing/headers.js'
import { createSigner } from '../signing/sign.js'
import { type Exchange, noAnswer } from './exchange.js'

/** What a host's function is told of a message on its way. */
export interface OutgoingMessage {
  message: Pick<Message, 'id' | 'type' | 'channels' | 'createdAt'>
  endpoint: Endpoint
  /** What would be sent as it is. */
  body: MessageBody
}

export interface OutgoingHooks {
  /**
   * Makes another body for an endpoint, of whatever kind the host takes it for (its `metadata` may say): text is sent as
   * it is, anything else as JSON. Must give the same for the same message, and at once: one that throws or answers a
   * promise fails the attempt with `transform_failed`.
   */
  transform?: ((outgoing: OutgoingMessage) => unknown) | undefined
  /** Further headers for a request; those that we write ourselves cannot be set. Fails as `transform` does. */
  headers?: ((outgoing: OutgoingMessage) => Record<string, string>) | undefined
}

/** What is sent, and how its headers stand in the log. */
export interface OutgoingContent {
  body: string
  headers: Record<string, string>
  loggedHeaders: Record<string, string>
}

export type SendableMessage = SentMessage & { body: string }

export type Outgoing = (
  message: SendableMessage,
  endpoint: StoredEndpoint,
  now: number,
) => OutgoingContent | { failed: Exchange }

/** What stands in the log in the place of a secret. */
const hidden = '[hidden]'

export function createOutgoing({ vault, hooks, runtime }: Pick<Deps, 'vault' | 'hooks' | 'runtime'>): Outgoing {
  const signer = createSigner()

  /** Customers read the log of attempts, and the host's own words are not for them. */
  function neverSent(error: unknown, messageId: string, endpointId: string): Exchange {
    runtime.logger.error('`transform` or `headers` failed', { messageId, endpointId, error })
    return noAnswer('transform_failed', 'The sender could not make the request. Nothing was sent.')
  }

  return (message, endpoint, now) => {
    const context = vaultContext(endpoint)
    let body = message.body
    const added: Record<string, string> = {}
    if (hooks.transform || hooks.headers) {
      try {
        const told = toldOf(message, endpoint)
        if (hooks.transform) body = textOf(hooks.transform(told))
        if (hooks.headers) Object.assign(added, checkHeaders(hooks.headers(told)))
      } catch (error) {
        return { failed: neverSent(error, message.id, endpoint.id) }
      }
    }
    const timestamp = Math.floor(now / 1000)
    const content = { id: message.id, timestamp, body }
    const secrets = endpoint.secrets
      .filter(({ expiresAt }) => expiresAt === null || expiresAt > now)
      .map(({ value }) => vault.open(value, context))
    const ours = {
      'content-type': 'application/json',
      'user-agent': 'org-webhooks',
      ...signer.signatureHeaders(content, secrets),
    }
    const { extraSignature } = endpoint
    if (extraSignature) {
      const [name, value] = extraSignatureHeader(
        { ...extraSignature, secret: vault.open(extraSignature.secret, context) },
        content,
      )
      Object.assign(ours, { [name]: value })
    }
    const names = Object.keys(endpoint.headers)
    const customers = Object.fromEntries(names.map((name) => [name, vault.open(endpoint.headers[name] ?? '', context)]))
    return {
      body,
      headers: { ...added, ...customers, ...ours },
      loggedHeaders: { ...added, ...Object.fromEntries(names.map((name) => [name, hidden])), ...ours },
    }
  }
}

function toldOf(message: SendableMessage, endpoint: StoredEndpoint): OutgoingMessage {
  const { id, type, channels, createdAt, body } = message
  return {
    message: { id, type, channels, createdAt },
    endpoint: publicPart(endpoint),
    body: JSON.parse(body) as MessageBody,
  }
}

function textOf(body: unknown): string {
  refusePromise('transform', body)
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  if (typeof text !== 'string') throw new TypeError('`transform` must return text, or what can be written as JSON')
  return text
}

function refusePromise(hook: string, answer: unknown): void {
  const then = answer !== null && typeof answer === 'object' && 'then' in answer ? answer.then : undefined
  if (typeof then !== 'function') return
  // Nobody waits for it, so that its failure must not end the process.
  then.call(answer, undefined, () => {})
  throw new TypeError(`\`${hook}\` must answer at once, not with a promise`)
}

function checkHeaders(headers: Record<string, string>): Record<string, string> {
  refusePromise('headers', headers)
  const checked: Record<string, string> = {}
  for (const [name, value] of Object.entries(headers)) {
    const checkedName = HeaderName.safeParse(name)
    if (!checkedName.success) throw new TypeError(`\`headers\` must not set ${JSON.stringify(name)}`)
    const checkedValue = HeaderValue.safeParse(value)
    if (!checkedValue.success) throw new TypeError(`\`headers\` gave a value for ${name} that no header can have`)
    checked[name.toLowerCase()] = checkedValue.data
  }
  return checked
}
