/** Clocks of workers that are out of step. */
import { systemClock } from '@org/core'
import { recordingLogger, testDatabases } from '@org/core/testing'
import { createWebhooks } from '@org/webhooks'
import { knexStorage, migrate } from '@org/webhooks/knex'
import { describe, expect, it } from 'vitest'

for (const database of await testDatabases()) {
  describe.skipIf(database.missing)(`a worker on ${database.name}`, () => {
    it('warns once of a clock that differs from the database’s, where there may be several machines', async () => {
      const { knex, close } = await database.open()
      await migrate(knex)
      const storage = knexStorage(knex)
      const now = (await storage.now?.()) ?? null
      if (database.name === 'sqlite') expect(now).toBe(null)
      else expect(Math.abs((now ?? 0) - Date.now())).toBeLessThan(5_000)

      const warnings = async (ahead: number, clock = systemClock) => {
        const logger = recordingLogger()
        const skewed = { ...storage, now: async () => (now === null ? null : Date.now() - ahead) }
        const worker = createWebhooks({ storage: skewed, clock, logger }).startWorker({ pollMs: 10 })
        await new Promise((resolve) => setTimeout(resolve, 50))
        await worker.stop()
        return logger.entries.map(({ fields }) => Math.round(Number(fields.aheadMs) / 1000))
      }
      expect(await warnings(0)).toEqual([])
      expect(await warnings(60_000)).toEqual(database.name === 'sqlite' ? [] : [60])
      expect(await warnings(-60_000)).toEqual(database.name === 'sqlite' ? [] : [-60])
      // The host's own clock is the host's affair.
      expect(await warnings(60_000, { ...systemClock, now: () => Date.now() })).toEqual([])
      await close()
    })
  })
}
