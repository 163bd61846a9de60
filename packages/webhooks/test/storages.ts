import { storageTargets } from '@org/core/testing'
import { memoryStorage } from '@org/webhooks'
import { knexStorage, migrate } from '@org/webhooks/knex'

/** The four storages that behaviour is tested on. A pool of 1 makes a query that escapes its transaction hang. */
export async function testStorages() {
  const targets = await storageTargets({ memory: memoryStorage, knex: knexStorage, migrate })
  return targets.map(({ name, missing, open }) => ({ name, missing, open: () => open({ pool: 1 }) }))
}
