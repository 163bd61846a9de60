/**
 * The app as it would run in production, on gateway.sqlite: `npx -y pnpm@12 build`, then
 * `npx -y pnpm@12 --filter express-gateway start`. POST /sign-up makes the first account.
 */
import { createServer } from 'node:http'
import { createApp } from './app.js'
import { openDatabase } from './database.js'
import { createModules } from './modules.js'

const knex = await openDatabase(process.env.DATABASE ?? 'gateway.sqlite')
const modules = createModules(knex)
const server = createServer(createApp(knex, modules))

const worker = modules.webhooks.startWorker()
const sealer = modules.rbac.audit.startSealer()
const dueWork = everyMinute(() => modules.billing.runDueWork())

server.listen(Number(process.env.PORT ?? 3000), '127.0.0.1', () => {
  console.log('listening', server.address())
})

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, async () => {
    // Requests first, then what they left to do, then the database.
    await new Promise((resolve) => server.close(resolve))
    await Promise.all([worker.stop(), dueWork.stop(), sealer.stop(), modules.rbac.keys.flush()])
    await knex.destroy()
  })
}

/** The next run starts a minute after the last one ended, so that a slow one is never overtaken. */
function everyMinute(work: () => Promise<unknown>) {
  let timer: NodeJS.Timeout | undefined
  let running: Promise<unknown> = Promise.resolve()
  let stopped = false
  const run = () => {
    running = work()
      .catch(console.error)
      .finally(() => {
        if (!stopped) timer = setTimeout(run, 60_000)
      })
  }
  run()
  return {
    async stop() {
      stopped = true
      clearTimeout(timer)
      await running
    },
  }
}
