/** The storage contract on every storage, with a pool of one: a query that escapes its transaction hangs and fails. */
import { knexStorage, migrate, migrations } from '@org/billing/knex'
import { storageContract } from '@org/billing/testing'
import { testDatabases } from '@org/core/testing'
import { describe, expect, it } from 'vitest'
import { billingOn, places } from './kit.js'

for (const place of places) {
  describe.skipIf(place.missing)(`storage contract on ${place.name}`, () => {
    for (const { name, run } of storageContract) it(name, () => run(() => place.open({ pool: 1 })))
  })
}

for (const database of await testDatabases()) {
  describe.skipIf(database.missing)(`set-up on ${database.name}`, () => {
    it('says what to call when tables are missing, and makes them once, under a prefix too', async () => {
      const { knex, close } = await database.open({ pool: 1 })
      const { billing } = billingOn(knexStorage(knex))
      await expect(billing.subscriptions.create({ tenantId: 't' }, { plan: 'pro' })).rejects.toMatchObject({
        code: 'not_migrated',
        detail: expect.stringContaining("`await migrate(knex)` from '@org/billing/knex'"),
      })
      await expect(billing.entitlements.check('t', 'requests')).rejects.toMatchObject({ code: 'not_migrated' })
      expect(await migrate(knex)).toEqual(migrations.map((migration) => migration.name))
      expect(await migrate(knex)).toEqual([])
      await migrate(knex, { prefix: 'other_' })
      const other = billingOn(knexStorage(knex, { prefix: 'other_' })).billing
      await other.subscriptions.create({ tenantId: 't' }, { plan: 'pro' })
      expect(await billing.subscriptions.current({ tenantId: 't' })).toBeNull()
      await close()
    })

    it('refuses a transaction of another database', async () => {
      const [here, there] = [await database.open(), await database.open()]
      await migrate(here.knex)
      const { billing } = billingOn(knexStorage(here.knex))
      await there.knex.transaction(async (tx) => {
        const use = billing.usage.record({ tenantId: 't', meter: 'requests' }, { tx })
        await expect(use).rejects.toMatchObject({ code: 'foreign_transaction' })
      })
      await here.close()
      await there.close()
    })
  })
}
