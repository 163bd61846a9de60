/** A scheduler that is killed: what it had not done is done by the next one, and nothing twice. */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { localProvider } from '@org/billing'
import { knexStorage, migrate } from '@org/billing/knex'
import { fakeClock, testDatabases } from '@org/core/testing'
import { describe, expect, it, onTestFinished } from 'vitest'
import { billingOn } from './kit.js'

const total = 100

function startScheduler(config: unknown, now: number, provider: string) {
  const file = fileURLToPath(new URL('crash-scheduler.ts', import.meta.url))
  const args = ['--conditions=@org/source', '--import', 'tsx', file, JSON.stringify(config), String(now), provider]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'inherit', 'inherit'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  return child
}

for (const database of await testDatabases()) {
  describe.skipIf(database.missing)(`a scheduler killed on ${database.name}`, () => {
    // Between two transactions is where a crash hurts; where all is one, once is enough.
    it.each(database.name === 'sqlite' ? ['local', 'remote'] : ['remote'])(
      `in the middle of ${total} renewals, %s provider`,
      async (kind) => {
        const { knex, config, close } = await database.open()
        onTestFinished(close)
        await migrate(knex)
        const provider = { ...localProvider(), inProcess: kind === 'local' }
        const clock = fakeClock('2026-01-31T00:00:00Z')
        const { billing } = billingOn(knexStorage(knex), { clock, provider })
        await knex.transaction(async (tx) => {
          const storage = billingOn(knexStorage(knex), { clock }).billing
          for (let i = 0; i < total; i++)
            await storage.subscriptions.create({ tenantId: `c${i}`, tx }, { plan: 'starter' })
        })

        clock.set('2026-02-28T00:00:00Z')
        const renewed = async () => {
          const [row] = await knex('billing_invoices').where('reason', 'subscription_renewal').count({ count: '*' })
          return Number(row?.count)
        }
        const child = startScheduler(config, clock.now(), kind)
        await expect.poll(renewed, { timeout: 20_000, interval: 5 }).toBeGreaterThan(total / 10)
        await new Promise((resolve) => {
          child.on('exit', resolve)
          child.kill('SIGKILL')
        })
        const before = await renewed()
        expect(before).toBeLessThan(total)

        // Later than what a payment without an answer is left alone for.
        clock.advance(61_000)
        const work = await billing.runDueWork()
        expect(work).toMatchObject({ renewed: total - before, failed: 0, declined: 0 })
        expect(work.settled).toBeLessThanOrEqual(1)
        const rows = await knex('billing_invoices').select('tenant_id', 'reason', 'status')
        expect(rows).toHaveLength(2 * total)
        expect(rows.filter((row) => row.status !== 'paid')).toEqual([])
        expect(await billing.verify()).toMatchObject({ ok: true, numbers: { last: 2 * total } })
      },
    )
  })
}
