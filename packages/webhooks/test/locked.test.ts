/** Rows that a transaction of the host has locked while a worker wants to write them. */
import { recordingLogger, testDatabases } from '@org/core/testing'
import { createWebhooks } from '@org/webhooks'
import { knexStorage, migrate } from '@org/webhooks/knex'
import { describe, expect, it } from 'vitest'
import { loopback, receiver } from './receiver.js'
import { keyCreated, scope } from './world.js'

// SQLite has one writer, and nobody else writes meanwhile.
const databases = (await testDatabases()).filter(({ name }) => name !== 'sqlite')

for (const database of databases) {
  describe.skipIf(database.missing)(`a delivery that a host has locked on ${database.name}`, () => {
    it('holds up nobody else’s, and is written when it is free, without being sent again', async () => {
      const { knex, connect, close } = await database.open({ pool: 6 })
      await migrate(knex)
      const other = connect({ pool: 2 })
      const logger = recordingLogger()
      const webhooks = createWebhooks({ storage: knexStorage(knex), logger, network: loopback })
      const answers: (() => void)[] = []
      const slow = await receiver((_, __, response) => void answers.push(() => response.end()))
      const quick = await receiver()
      await webhooks.endpoints.create(scope, { url: slow.url, eventTypes: ['key.revoked'] })
      await webhooks.endpoints.create(scope, { url: quick.url, eventTypes: ['key.created'] })
      await webhooks.publish({ ...keyCreated, type: 'key.revoked' })
      const worker = webhooks.startWorker({ pollMs: 20 })
      await expect.poll(() => answers.length).toBe(1)

      const host = await other.transaction()
      const [{ id } = { id: '' }] = (await webhooks.deliveries.list(scope)).data
      await host('webhooks_deliveries').where({ id }).forUpdate()
      answers[0]?.()
      await expect.poll(() => logger.entries.length).toBeGreaterThan(0)
      await webhooks.publishBatch(Array.from({ length: 300 }, () => keyCreated))
      const delivered = async () =>
        Number((await knex('webhooks_deliveries').where('status', 'delivered').count({ n: '*' }))[0]?.n)
      await expect.poll(delivered, { timeout: 15_000 }).toBe(300)

      await host.rollback()
      await expect.poll(delivered, { timeout: 15_000 }).toBe(301)
      await worker.stop()
      expect([slow.received.length, quick.received.length]).toEqual([1, 300])
      expect(logger.entries.map(({ level }) => level)).not.toContain('error')
      if (database.name === 'mariadb') {
        const [rows] = await knex.raw(
          'select @@session.innodb_lock_wait_timeout s, @@global.innodb_lock_wait_timeout g',
        )
        expect(rows[0].s).toBe(rows[0].g)
      }
      await other.destroy()
      await close()
    }, 60_000)
  })
}
