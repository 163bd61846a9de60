/** Rows to start from, and how the cases of the contract write and claim them. */
import type { Attempt, StoredDelivery } from '../deliveries/schema.js'
import type { Claimed, ClaimRequest } from '../deliveries/store.js'
import type { StoredEndpoint } from '../endpoints/schema.js'
import type { StoredJob } from '../jobs/schema.js'
import type { StoredMessage } from '../messages/schema.js'
import type { WebhooksStorage } from '../storage/port.js'

export async function addDeliveries(storage: WebhooksStorage, ...rows: StoredDelivery[]): Promise<void> {
  await storage.run(({ deliveries }) => deliveries.insert(rows))
}

/** Claims at 1,000 until 5,000, up to 100 of `ep_1`, unless told. */
export function claim(storage: WebhooksStorage, request: Partial<ClaimRequest> = {}): Promise<Claimed> {
  const whole: ClaimRequest = {
    now: 1000,
    dueBy: request.now ?? 1000,
    rooms: new Map([['ep_1', 100]]),
    ordered: new Set(),
    counted: new Set(),
    token: 'lease_1',
    leaseUntil: 5000,
    ...request,
  }
  return storage.run(({ deliveries }) => deliveries.claim(whole))
}

/** In the order of the ids: a claim hands over what it took in any order. */
export function idsOf({ deliveries }: Claimed): string[] {
  return deliveries.map(({ id }) => id).sort()
}

export function endpoint(row: Partial<StoredEndpoint> = {}): StoredEndpoint {
  return {
    id: 'ep_1',
    tenantId: 't1',
    url: 'https://example.com/hooks',
    description: null,
    eventTypes: null,
    channels: null,
    filter: null,
    metadata: {},
    headers: {},
    enabled: true,
    disabledReason: null,
    unverified: false,
    secrets: [{ value: 'whsec_a', expiresAt: null }],
    extraSignature: null,
    retryScheduleMs: null,
    timeoutMs: null,
    rateLimit: null,
    maxInFlight: null,
    ordering: null,
    createdAt: 1_767_225_600_000,
    updatedAt: 1_767_225_600_000,
    ...row,
  }
}

export function message(row: Partial<StoredMessage> = {}): StoredMessage {
  return {
    id: 'msg_1',
    tenantId: 't1',
    type: 'key.created',
    body: '{"type":"key.created","data":{"name":"Ünïcode 🪝"}}',
    channels: null,
    idempotencyKey: null,
    orderingKey: null,
    coalesceKey: null,
    fingerprint: 'f',
    test: false,
    fanOutAfter: null,
    createdAt: 1_767_225_600_000,
    ...row,
  }
}

export function delivery(row: Partial<StoredDelivery> = {}): StoredDelivery {
  return {
    id: 'del_1',
    tenantId: 't1',
    messageId: 'msg_1',
    endpointId: 'ep_1',
    eventType: 'key.created',
    status: 'pending',
    attempts: 0,
    step: 0,
    dueAt: 900,
    leaseToken: null,
    leaseUntil: null,
    lost: 0,
    counted: null,
    orderKey: null,
    position: 0,
    coalesceKey: null,
    lastStatus: null,
    lastError: null,
    createdAt: 1_767_225_600_000,
    endedAt: null,
    ...row,
  }
}

export function attempt(row: Partial<Attempt> = {}): Attempt {
  return {
    deliveryId: 'del_1',
    number: 1,
    url: 'https://example.com/hooks',
    address: '93.184.216.34',
    requestHeaders: { 'webhook-id': 'msg_1' },
    status: 200,
    responseHeaders: { 'content-type': 'text/plain' },
    responseBody: 'ok',
    responseTruncated: false,
    error: null,
    detail: null,
    startedAt: 1_767_225_600_000,
    durationMs: 87,
    ...row,
  }
}

export function job(row: Partial<StoredJob> = {}): StoredJob {
  return {
    id: 'job_1',
    tenantId: 't1',
    kind: 'redrive',
    status: 'running',
    endpointId: null,
    params: { since: null, until: null, eventTypes: null },
    processed: 0,
    affected: 0,
    skipped: 0,
    total: null,
    error: null,
    reached: null,
    upTo: { createdAt: 1_767_225_600_000, id: 'del_9' },
    leaseToken: null,
    leaseUntil: null,
    turnAt: 0,
    createdAt: 1_767_225_600_000,
    updatedAt: 1_767_225_600_000,
    endedAt: null,
    ...row,
  }
}
