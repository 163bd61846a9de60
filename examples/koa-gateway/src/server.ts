/** `npx -y pnpm@12 --filter koa-gateway start`: the app as it would run in production, on gateway.sqlite. */
import { createServer } from 'node:http'
import { createApp } from './app.js'
import { openDatabase } from './database.js'
import { createModules } from './modules.js'

const knex = await openDatabase(process.env.DATABASE ?? 'gateway.sqlite')
const modules = createModules(knex)
const server = createServer(createApp(knex, modules))

const worker = modules.webhooks.startWorker()
const dueWork = setInterval(() => modules.billing.runDueWork().catch(console.error), 60_000)

server.listen(Number(process.env.PORT ?? 3000), '127.0.0.1', () => {
  console.log('listening', server.address())
})

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, async () => {
    clearInterval(dueWork)
    server.close()
    await worker.stop()
    await knex.destroy()
  })
}
