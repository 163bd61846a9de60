/** Makes the rows of a message: its body as it is signed and sent, and what tells it from another. */
import { createHash } from 'node:crypto'
import { coreErrors } from '@org/core'
import { besideOrder, type StoredDelivery } from '../deliveries/schema.js'
import type { Deps } from '../deps.js'
import type { StoredEndpoint } from '../endpoints/schema.js'
import type { MessageBody, StoredMessage } from './schema.js'

/** What a message is made of, before it has an id. */
export interface Draft {
  tenantId: string
  type: string
  data: unknown
  idempotencyKey: string | null
  channels: string[] | null
  orderingKey: string | null
  coalesceKey: string | null
}

/** One mebibyte: a worker has the bodies of all that it sends in memory. Standard Webhooks advises to stay below 20 kB. */
export const defaultMaxBodyBytes = 1024 * 1024

export interface Drafting {
  /** @throws ProblemError `invalid_input` at `/data` for what cannot be sent. */
  messageOf(draft: Draft): StoredMessage
  deliveryOf(
    message: Pick<StoredMessage, 'id' | 'tenantId' | 'type' | 'coalesceKey' | 'createdAt'>,
    endpoint: DeliveredTo,
  ): StoredDelivery
}

type DeliveredTo = Pick<StoredEndpoint, 'id' | 'retryScheduleMs' | 'ordering'>

export function createDrafting({
  runtime,
  schedule,
  maxBodyBytes,
}: Pick<Deps, 'runtime' | 'schedule' | 'maxBodyBytes'>): Drafting {
  const { id: makeId, clock } = runtime
  return {
    messageOf(draft) {
      const { tenantId, type, data, channels } = draft
      const now = clock.now()
      const body = encode({ type, timestamp: new Date(now).toISOString(), data })
      const size = Buffer.byteLength(body)
      if (size > maxBodyBytes) throw unfit(`makes a body of ${size} bytes; at most ${maxBodyBytes} are sent`)
      const { idempotencyKey, orderingKey, coalesceKey } = draft
      const fingerprint = createHash('sha256')
        .update(canonical([type, data, channels]))
        .digest('hex')
      const id = makeId('msg')
      const keys = { idempotencyKey, orderingKey, coalesceKey }
      return {
        id,
        tenantId,
        type,
        body,
        channels,
        ...keys,
        fingerprint,
        test: false,
        fanOutAfter: null,
        createdAt: now,
      }
    },

    deliveryOf: (message, { id: endpointId, retryScheduleMs, ordering }) => ({
      id: makeId('del'),
      tenantId: message.tenantId,
      messageId: message.id,
      endpointId,
      eventType: message.type,
      status: 'pending',
      attempts: 0,
      step: 0,
      dueAt: message.createdAt + ((retryScheduleMs ?? schedule)[0] ?? 0),
      leaseToken: null,
      leaseUntil: null,
      counted: null,
      lost: 0,
      orderKey: null,
      position: ordering === null ? 0 : besideOrder,
      coalesceKey: message.coalesceKey,
      lastStatus: null,
      lastError: null,
      createdAt: clock.now(),
      endedAt: null,
    }),
  }
}

function encode(body: MessageBody): string {
  try {
    return JSON.stringify(body)
  } catch (cause) {
    throw unfit('cannot be written as JSON', cause)
  }
}

function unfit(detail: string, cause?: unknown) {
  return coreErrors.invalid_input({ errors: [{ pointer: '/data', detail }], cause })
}

/** The same text for the same content, in whatever order a caller or a database put its names. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) =>
    typeof part === 'object' && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  )
}
