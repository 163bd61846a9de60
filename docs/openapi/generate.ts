/** Writes docs/openapi/*.json from the route tables; with --check it fails if they are not up to date. */
import { readFileSync, writeFileSync } from 'node:fs'
import { createBilling, defineCatalog } from '@org/billing'
import { type HttpModule, openapi } from '@org/core'
import { createRbac } from '@org/rbac'
import { createWebhooks } from '@org/webhooks'

const logger = { debug() {}, info() {}, warn() {}, error() {} }
const catalog = defineCatalog({ currency: 'usd', features: {}, meters: {}, plans: { free: { name: 'Free', rank: 0 } } })
const modules: HttpModule[] = [
  createRbac({ logger }).http,
  createWebhooks({ logger }).http,
  createBilling({ logger, catalog }).http,
]

let stale = 0
for (const module of modules) {
  const file = new URL(`${module.name}.json`, import.meta.url)
  const document = openapi(module, { title: `@org/${module.name}`, version: '0.1.0', serverUrl: `/api/${module.name}` })
  const text = `${JSON.stringify(document, null, 2)}\n`
  if (process.argv.includes('--check')) {
    if (readFileSync(file, 'utf8') === text) continue
    stale++
    console.error(`docs/openapi/${module.name}.json is not up to date: run \`npx -y pnpm@12 docs:openapi\``)
  } else {
    writeFileSync(file, text)
    console.log(`docs/openapi/${module.name}.json: ${module.routes.length} routes`)
  }
}
process.exitCode = stale > 0 ? 1 : 0
