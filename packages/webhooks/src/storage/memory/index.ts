/** Storage in memory: the default for trying things out. It is lost with the process. */
import {
  type IdempotencyRecord,
  type MemoryDatabase,
  type MemoryRows,
  memoryDatabase,
  memoryIdempotency,
  memoryUnitOfWork,
} from '@org/core'
import type { Attempt, StoredDelivery } from '../../deliveries/schema.js'
import type { StoredEndpoint } from '../../endpoints/schema.js'
import type { Health } from '../../endpoints/store.js'
import type { StoredJob } from '../../jobs/schema.js'
import type { StoredMessage } from '../../messages/schema.js'
import type { StoredStats } from '../../stats/schema.js'
import type { WebhooksStorage } from '../port.js'
import { memoryDeliveries } from './deliveries.js'
import { memoryEndpoints } from './endpoints.js'
import { memoryJobs } from './jobs.js'
import { memoryMessages } from './messages.js'
import { memoryRetention } from './retention.js'
import { memoryStats } from './stats.js'

export interface MemoryStorageOptions {
  /** Shared with other modules, so that the host can write to all of them in one transaction. */
  database?: MemoryDatabase
}

/** Keeps everything in this process. */
export function memoryStorage(options: MemoryStorageOptions = {}): WebhooksStorage {
  const endpoints: MemoryRows<StoredEndpoint> = new Map()
  const health: MemoryRows<Health> = new Map()
  const messages: MemoryRows<StoredMessage> = new Map()
  const deliveries: MemoryRows<StoredDelivery> = new Map()
  const attempts: MemoryRows<Attempt> = new Map()
  const jobs: MemoryRows<StoredJob> = new Map()
  const stats: MemoryRows<StoredStats> = new Map()
  const keys: MemoryRows<IdempotencyRecord> = new Map()
  return memoryUnitOfWork(options.database ?? memoryDatabase(), (tx) => ({
    endpoints: memoryEndpoints(endpoints, health, tx),
    messages: memoryMessages(messages, tx),
    deliveries: memoryDeliveries(deliveries, attempts, tx),
    jobs: memoryJobs(jobs, tx),
    stats: memoryStats({ stats, deliveries, messages }, tx),
    retention: memoryRetention({ messages, deliveries, attempts, jobs }, tx),
    idempotency: memoryIdempotency(keys, tx),
  }))
}
