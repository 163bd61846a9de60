/** What happens to a webhook that arrives, whatever framework it arrives in. */
import type { IncomingMessage } from 'node:http'
import {
  coreErrors,
  createRuntime,
  defaultBodyLimit,
  type HttpResponse,
  type Logger,
  problemResponse,
  type RuntimeOptions,
  readRaw,
} from '@org/core'
import { checkOptions, checkWebhook } from '../verify/check.js'
import { WebhookVerificationError } from '../verify/error.js'
import { verificationKeys } from '../verify/keys.js'
import { receiverErrors } from './errors.js'
import { type ReplayCache, replayCache } from './replay.js'

export interface ReceiverOptions extends Pick<RuntimeOptions, 'clock' | 'logger'> {
  /** `whsec_…` or `whpk_…`; several while they are rotated. */
  secrets: string | readonly string[]
  /** How far the sender's clock may be from ours, in seconds either way: 300 unless told. It cannot be switched off. */
  tolerance?: number
  /** The largest body that is read, in bytes: 1 MiB unless told. */
  maxBytes?: number
  /**
   * Where it is noted what was handled: in this process's memory unless told. False if your handler takes care of that
   * itself, by a unique key on `webhook.id` in the transaction of its work.
   */
  replay?: ReplayCache | false
}

/** A webhook whose signature was right. */
export interface ReceivedWebhook<Payload = unknown> {
  /** The same each time that the message is delivered. */
  id: string
  /** When this attempt was signed, in seconds since the epoch. */
  timestamp: number
  /** The `type` of the payload, if it has one. */
  type?: string
  /** The parsed body. Signed, but not checked to be of this type. */
  payload: Payload
}

/** What a framework hands over. */
export interface Arrival {
  raw: IncomingMessage
  /** The bytes that a host's parser kept, by the convention `rawBody`. */
  keptBody: unknown
  /** What a host's parser made of the body: bytes and text will do. */
  parsedBody: unknown
}

export type Reception<Payload> =
  | { pass: false; response: HttpResponse }
  /** `settle` must be told what the handler answered: 2xx is handled, anything else is to be tried again. */
  | { pass: true; webhook: ReceivedWebhook<Payload>; settle(status: number): Promise<void> }

/** Neither `settle` nor the function itself rejects. @throws ProblemError `setup_error` for options that cannot work. */
export function createReceiver<Payload>(options: ReceiverOptions): (arrival: Arrival) => Promise<Reception<Payload>> {
  const { clock, logger } = createRuntime(options)
  const { tolerance = 300, maxBytes = defaultBodyLimit, replay = replayCache({ clock }) } = options
  const keys = setUp(() => {
    checkOptions({ tolerance })
    return verificationKeys(options.secrets)
  })
  if (!(Number.isInteger(maxBytes) && maxBytes > 0)) {
    throw coreErrors.setup_error({ detail: '`maxBytes` must be a whole number of bytes.' })
  }

  async function receive(arrival: Arrival): Promise<Reception<Payload>> {
    const body = await readBody(arrival, maxBytes)
    const { id, timestamp, payload } = checkWebhook(keys, arrival.raw.headers, body, { tolerance, now: clock.now() })
    const claim = replay ? await replay.claim(id) : 'claimed'
    if (claim === 'handled') return { pass: false, response: accepted }
    if (claim === 'in_progress') throw receiverErrors.webhook_in_progress({ headers: { 'retry-after': '10' } })
    const type = typeOf(payload)
    return {
      pass: true,
      webhook: { id, timestamp, ...(type !== undefined && { type }), payload: payload as Payload },
      settle: (status) => settle(replay, id, status, logger),
    }
  }

  return (arrival) =>
    receive(arrival).catch((error: unknown) => {
      const url = arrival.raw.url?.split('?', 1)[0]
      return { pass: false, response: problemResponse(asProblem(error), logger, { url }) }
    })
}

/** To a sender, 2xx alone is success; it would send the rest again, so the rest must be handled again. */
async function settle(replay: ReplayCache | false, id: string, status: number, logger: Logger): Promise<void> {
  if (!replay) return
  try {
    await (status >= 200 && status < 300 ? replay.complete(id) : replay.release(id))
  } catch (error) {
    logger.error('What became of a webhook could not be noted', { webhookId: id, error })
  }
}

const accepted: HttpResponse = { status: 204, headers: { 'cache-control': 'no-store' }, body: undefined }

async function readBody({ raw, keptBody, parsedBody }: Arrival, maxBytes: number): Promise<Buffer> {
  // A text parser's text serves as well as kept bytes: if it was decoded wrongly, no signature fits it.
  const text = typeof parsedBody === 'string' ? parsedBody : undefined
  const body = await readRaw({ raw, keptBody: keptBody ?? text, parsedBody }, maxBytes)
  if (body.length > maxBytes) throw coreErrors.payload_too_large({ detail: `At most ${maxBytes} bytes are read.` })
  return body
}

function typeOf(payload: unknown): string | undefined {
  if (typeof payload !== 'object' || payload === null || !('type' in payload)) return undefined
  return typeof payload.type === 'string' ? payload.type : undefined
}

function asProblem(error: unknown): unknown {
  if (!(error instanceof WebhookVerificationError)) return error
  const { code, message } = error
  return code in receiverErrors ? receiverErrors[code as keyof typeof receiverErrors]({ detail: message }) : error
}

function setUp<Made>(make: () => Made): Made {
  try {
    return make()
  } catch (error) {
    if (error instanceof WebhookVerificationError) throw coreErrors.setup_error({ detail: error.message })
    throw error
  }
}
