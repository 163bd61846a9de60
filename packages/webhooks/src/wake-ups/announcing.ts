/** Storage that says with each commit what became due by it, so that workers of other processes look at once. */
import type { PostgresChannel } from '@org/core/knex'
import type { DeliveryStore } from '../deliveries/store.js'
import type { JobStore } from '../jobs/store.js'
import type { MessageStore } from '../messages/store.js'
import type { WebhooksStorage, WebhooksStores } from '../storage/port.js'
import { wakeUpMessage } from './message.js'

/** What one transaction has made due. */
interface MadeDue {
  endpointIds: Set<string>
  /** Something else that workers find only by looking: a job, a fan-out, a delivery whose endpoint was not named. */
  more: boolean
}

/**
 * One statement more for each transaction that makes something due, within it: what is rolled back is not said. A
 * retry that the engine has put off is no news.
 */
export function announcing(storage: WebhooksStorage, channel: PostgresChannel): WebhooksStorage {
  return {
    ...storage,
    wakeUps: channel,
    run: (work, tx, options) =>
      storage.run(
        async (stores, own) => {
          const due: MadeDue = { endpointIds: new Set(), more: false }
          const result = await work(watched(stores, due), own)
          if (due.endpointIds.size > 0 || due.more) {
            await channel.announce(due.more ? '[]' : wakeUpMessage(due.endpointIds), own)
          }
          return result
        },
        tx,
        options,
      ),
  }
}

function watched(stores: WebhooksStores, due: MadeDue): WebhooksStores {
  return {
    ...stores,
    deliveries: watchedDeliveries(stores.deliveries, due),
    messages: watchedMessages(stores.messages, due),
    jobs: watchedJobs(stores.jobs, due),
  }
}

function watchedDeliveries(deliveries: DeliveryStore, due: MadeDue): DeliveryStore {
  return {
    ...deliveries,
    async insert(rows) {
      await deliveries.insert(rows)
      for (const { status, endpointId } of rows) if (status === 'pending') due.endpointIds.add(endpointId)
    },
    async releaseHeld(endpointId, now, limit) {
      const found = await deliveries.releaseHeld(endpointId, now, limit)
      if (found > 0) due.endpointIds.add(endpointId)
      return found
    },
    async update(id, patch) {
      await deliveries.update(id, patch)
      if (patch.status === 'pending') due.more = true
    },
    async updateAll(ids, patch) {
      await deliveries.updateAll(ids, patch)
      if (patch.status === 'pending') due.more = true
    },
  }
}

function watchedMessages(messages: MessageStore, due: MadeDue): MessageStore {
  return {
    ...messages,
    async update(id, patch) {
      await messages.update(id, patch)
      // A fan-out that is to begin.
      if (patch.fanOutAfter === '') due.more = true
    },
  }
}

function watchedJobs(jobs: JobStore, due: MadeDue): JobStore {
  return {
    ...jobs,
    async insert(job) {
      await jobs.insert(job)
      due.more = true
    },
  }
}
