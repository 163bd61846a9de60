/** A module with jobs that a test takes turn by turn. */
import { createEmit, createIdFactory, createRuntime, isProblem, systemRandom } from '@org/core'
import { recordingLogger } from '@org/core/testing'
import type { StoredDelivery, StoredMessage, WebhooksOptions, WebhooksStorage } from '@org/webhooks'
import { createFilters } from '../src/endpoints/filter.js'
import { createJobRunner } from '../src/jobs/run.js'
import { createWalks } from '../src/jobs/walks.js'
import { defaultMaxBodyBytes } from '../src/messages/draft.js'
import { scope, world } from './world.js'

export const url = 'https://example.com/hooks'

export const codeOf = async (work: Promise<unknown>) => {
  const error = await work.catch((caught: unknown) => caught)
  return isProblem(error) ? error.code : error
}

/** `fault` makes the next transaction fail whose work it throws in, at its end. */
export function jobsWorld(opened: WebhooksStorage, options: WebhooksOptions = {}) {
  const fault = { after: null as (() => void) | null }
  const storage: WebhooksStorage = {
    ...opened,
    run: (work, tx, runOptions) =>
      opened.run(
        async (stores, joined) => {
          const answer = await work(stores, joined)
          fault.after?.()
          return answer
        },
        tx,
        runOptions,
      ),
  }
  const made = world({ storage, ...options })
  const { clock, events } = made

  /** As another process would run jobs. */
  const worker = (own: WebhooksStorage = storage) => {
    const runtime = createRuntime({ clock, logger: recordingLogger(), id: createIdFactory(clock, systemRandom) })
    const emit = createEmit(runtime, (event) => void events.push(event))
    const walks = createWalks({ runtime, filters: createFilters(), schedule: [0], maxBodyBytes: defaultMaxBodyBytes })
    return createJobRunner({ storage: own, runtime, emit, wake: () => {} }, walks)
  }
  const told = () =>
    events.filter(({ type }) => type.startsWith('job.')).map(({ type, data, actor }) => [type, actor.type, data])
  return { ...made, storage, fault, worker, told }
}

const number = (n: number) => String(n).padStart(5, '0')

/** Rows of `scope`'s tenant as they lie in the log, made in no time. Numbered from `from`. */
export async function seed(
  storage: WebhooksStorage,
  count: number,
  row: Partial<StoredDelivery> & { endpointId: string },
  message: Partial<StoredMessage> = {},
  from = 0,
) {
  const messages = seedMessages(
    count,
    { createdAt: row.createdAt ?? 0, type: row.eventType ?? 'key.created', ...message },
    from,
  )
  const deliveries = messages.map(({ id: messageId, tenantId, type, createdAt }): StoredDelivery => {
    const base = {
      tenantId,
      messageId,
      eventType: type,
      createdAt,
      status: 'dead_letter',
      attempts: 3,
      step: 3,
    } as const
    const lease = {
      leaseToken: null,
      leaseUntil: null,
      counted: null,
      lost: 0,
      orderKey: null,
      position: 0,
      coalesceKey: null,
    }
    const last = { lastStatus: 500, lastError: 'http_status', endedAt: createdAt, dueAt: createdAt } as const
    return { id: messageId.replace('msg', 'del'), ...base, ...lease, ...last, ...row }
  })
  await storage.run(async (stores) => {
    await stores.messages.insert(messages)
    await stores.deliveries.insert(deliveries)
  })
  return deliveries.map(({ id }) => id)
}

export function seedMessages(count: number, message: Partial<StoredMessage> = {}, from = 0): StoredMessage[] {
  return Array.from({ length: count }, (_, n) => ({
    id: `msg_${number(from + n)}`,
    tenantId: scope.tenantId,
    type: 'key.created',
    body: JSON.stringify({ type: 'key.created', timestamp: '2026-01-01T00:00:00.000Z', data: { n: from + n } }),
    channels: null,
    idempotencyKey: null,
    orderingKey: null,
    coalesceKey: null,
    fingerprint: 'f',
    test: false,
    fanOutAfter: null,
    createdAt: 0,
    ...message,
  }))
}

/** Everything of an endpoint, by id. */
export async function deliveriesOf(storage: WebhooksStorage, endpointId: string): Promise<StoredDelivery[]> {
  const slice = { limit: 10_000, after: null }
  const rows = await storage.read(({ deliveries }) => deliveries.list(scope.tenantId, { endpointId }, slice))
  return rows.reverse()
}

export function tally<Value>(values: readonly Value[]): Map<Value, number> {
  const counts = new Map<Value, number>()
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1)
  return counts
}
