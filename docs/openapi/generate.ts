/** Writes docs/openapi/*.json and the references from the route tables; with --check it fails if they are not up to date. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { createBilling, defineCatalog } from '@org/billing'
import { type HttpModule, openapi } from '@org/core'
import { createRbac, rbacErrors, rbacEvents } from '@org/rbac'
import { createWebhooks } from '@org/webhooks'
import { referenceOf } from './reference.js'

const logger = { debug() {}, info() {}, warn() {}, error() {} }
const catalog = defineCatalog({ currency: 'usd', features: {}, meters: {}, plans: { free: { name: 'Free', rank: 0 } } })
const rbac = createRbac({ logger }).http
const modules: HttpModule[] = [rbac, createWebhooks({ logger }).http, createBilling({ logger, catalog }).http]

const files = new Map<string, string>()
for (const module of modules) {
  const document = openapi(module, { title: `@org/${module.name}`, version: '0.1.0', serverUrl: `/api/${module.name}` })
  files.set(`docs/openapi/${module.name}.json`, `${JSON.stringify(document, null, 2)}\n`)
}
files.set('docs/rbac/reference.md', referenceOf({ module: rbac, errors: rbacErrors, events: rbacEvents }))

let stale = 0
for (const [path, text] of files) {
  const file = new URL(`../../${path}`, import.meta.url)
  if (!process.argv.includes('--check')) {
    writeFileSync(file, text)
    console.log(path)
  } else if (!existsSync(file) || readFileSync(file, 'utf8') !== text) {
    stale++
    console.error(`${path} is not up to date: run \`npx -y pnpm@12 docs:openapi\``)
  }
}
process.exitCode = stale > 0 ? 1 : 0
