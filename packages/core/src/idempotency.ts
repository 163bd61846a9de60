/**
 * `Idempotency-Key` for POSTs that create (draft-ietf-httpapi-idempotency-key-header). The key is claimed, the work
 * done and the response kept in one transaction: a crash forgets all three, a twin waits and then gets the same answer.
 */
import { createHash } from 'node:crypto'
import type { Actor } from './context.js'
import { coreErrors } from './errors.js'

export interface IdempotencyRecord {
  /** SHA-256 over tenant, actor, route and key. */
  id: string
  /** SHA-256 over what was asked; the same key with another one is a conflict. */
  fingerprint: string
  /** Null until the work is done; never visible to others, since claim and completion commit together. */
  response: StoredResponse | null
  /** Epoch milliseconds. */
  expiresAt: number
}

export interface StoredResponse {
  status: number
  body: string
}

export interface IdempotencyStore {
  /**
   * Null if the key is ours now, also instead of one that expired by `now`; otherwise the record that is there. Waits for
   * a transaction that is about to write it.
   */
  claim(record: IdempotencyRecord, now: number): Promise<IdempotencyRecord | null>
  complete(id: string, response: StoredResponse): Promise<void>
  /** Forgets up to `limit` of those that expired by `now`, without waiting for anybody. */
  purge(now: number, limit: number): Promise<void>
}

/** How long a key is remembered, in milliseconds: a day, as with Stripe. */
export const idempotencyWindow = 24 * 60 * 60 * 1000

/** How many expired keys each new one takes along. */
const purgeLimit = 20

export interface IdempotentRequest {
  tenantId: string
  /** Two users of a tenant may choose the same key. */
  actor: Actor
  routeId: string
  key: string
  /** What was asked: parameters and body. */
  input: unknown
}

/** Does `work` once for each key, and answers the first answer again. */
export async function onceForKey(
  store: IdempotencyStore,
  request: IdempotentRequest,
  now: number,
  work: () => Promise<StoredResponse>,
): Promise<{ response: StoredResponse; replayed: boolean }> {
  const { tenantId, actor, routeId, key } = request
  const id = sha256([tenantId, actor.type, actor.id, routeId, key])
  const fingerprint = sha256(request.input)
  const expiresAt = now + idempotencyWindow
  const earlier = await store.claim({ id, fingerprint, response: null, expiresAt }, now)
  if (earlier) {
    if (earlier.fingerprint !== fingerprint || !earlier.response) {
      throw coreErrors.idempotency_conflict({ detail: 'Send a new Idempotency-Key with a new request.' })
    }
    return { response: earlier.response, replayed: true }
  }
  const response = await work()
  await store.complete(id, response)
  await store.purge(now, purgeLimit)
  return { response, replayed: false }
}

function sha256(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex')
}
