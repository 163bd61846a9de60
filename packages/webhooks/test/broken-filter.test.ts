/** A filter that only a hand in the database can have written. */
import { expect, it } from 'vitest'
import { testStorages } from './storages.js'
import { keyCreated, scope, world } from './world.js'

for (const { name, missing, open } of await testStorages()) {
  it.skipIf(missing)(
    `a stored filter that is none costs its own endpoint alone, and is told of once: ${name}`,
    async () => {
      const { storage, close } = await open()
      const { webhooks, log } = world({ storage })
      const { id: broken } = await webhooks.endpoints.create(scope, { url: 'https://example.com/broken' })
      const { id: well } = await webhooks.endpoints.create(scope, { url: 'https://example.com/well' })
      await storage.run(({ endpoints }) => endpoints.update(broken, { filter: { a: { $where: 1 } } as never }))
      for (let n = 0; n < 2; n++) expect(await webhooks.publish(keyCreated)).toMatchObject({ deliveries: 1 })
      const { data } = await webhooks.deliveries.list(scope)
      expect(data.map(({ endpointId }) => endpointId)).toEqual([well, well])
      expect(log.filter(({ level }) => level === 'error')).toMatchObject([{ fields: { endpointId: broken } }])
      await webhooks.endpoints.update(scope, broken, { filter: null })
      expect(await webhooks.publish(keyCreated)).toMatchObject({ deliveries: 2 })
      await close()
    },
  )
}
