/**
 * The whole product in one command: starts the app on an empty database beside a webhook receiver, and plays a story
 * over HTTP. With `--once` it ends there, with exit code 0 only if every step came out as told.
 */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createUser } from '../accounts.js'
import { createApp } from '../app.js'
import { openDatabase } from '../database.js'
import { createModules } from '../modules.js'
import { createNarrator } from './narrator.js'
import { startReceiver } from './receiver.js'
import { tell } from './story.js'

let offset = 0
const clock = { now: () => Date.now() + offset }

const receiver = await startReceiver(clock)
const knex = await openDatabase(':memory:')
const modules = createModules(knex, { clock, network: { allow: ['127.0.0.1/32'], ca: receiver.ca } })
const worker = modules.webhooks.startWorker()
const server = createServer(createApp(knex, modules))
await new Promise<void>((resolve) => server.listen(Number(process.env.PORT ?? 0), '127.0.0.1', resolve))
const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`

// Two customers of the gateway. Whoever signs up first owns the tenant; the host says so with a plain call.
const people = [
  ['acme', 'olga', 'owner'],
  ['acme', 'dev', 'developer'],
  ['acme', 'rita', 'read_only'],
  ['globex', 'gus', 'owner'],
] as const
for (const [tenantId, name, role] of people) {
  const user = await createUser(knex, { tenantId, email: `${name}@${tenantId}.test`, password: 'correct horse' })
  await modules.rbac.assignments.assign({ tenantId }, { userId: user.id, role })
}

const narrator = createNarrator(url, new Map())
await tell({
  ...narrator,
  receiver,
  passTime: (days) => {
    offset += days * 86_400_000
  },
  dueWork: () => Promise.all([modules.billing.runDueWork(), modules.rbac.audit.seal()]),
})
const { passed, failed } = narrator.summary()
console.log(`\n${passed} steps came out as told, ${failed} did not.`)

const stop = async () => {
  server.closeAllConnections()
  server.close()
  await worker.stop()
  await receiver.close()
  await knex.destroy()
}

if (process.argv.includes('--once')) {
  await stop()
  process.exitCode = failed > 0 ? 1 : 0
} else {
  console.log(`
The app keeps serving at ${url} until you press Ctrl-C. Look around:

  curl -s -c olga.cookies -H 'content-type: application/json' -d '{"email":"olga@acme.test","password":"correct horse"}' ${url}/sign-in
  curl -s -b olga.cookies ${url}/api/rbac/audit
  curl -s -b olga.cookies ${url}/api/webhooks/deliveries
  curl -s -b olga.cookies ${url}/api/billing/invoices

Then read src/modules.ts (the wiring), src/app.ts (the routes) and docs/ (the guides).`)
  process.once('SIGINT', stop)
  process.once('SIGTERM', stop)
}
