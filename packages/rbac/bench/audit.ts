/** The audit log: what it costs a change, and what it takes to seal, verify and read it. */

import { createRuntime } from '@org/core'
import { type OpenDatabase, testDatabases } from '@org/core/testing'
import { createRbac } from '@org/rbac'
import { knexStorage, migrate } from '@org/rbac/knex'
import type { Comparison } from '../../core/bench/harness.js'
import { silent } from '../../core/bench/http.js'
import { recordOf } from '../src/audit/canonical.js'
import { auditTable } from '../src/storage/knex/audit.js'
import { copyTo, entryOf, fill, fillUp } from './audit-rows.js'

const databases = (await testDatabases()).filter(({ name, missing }) => !missing && name !== 'mariadb')

async function opened(open: () => Promise<OpenDatabase>) {
  const database = await open()
  await migrate(database.knex)
  const rbac = createRbac({ storage: knexStorage(database.knex), logger: silent })
  return { ...database, rbac }
}

/** Something that does exactly so much in a second. */
function pace(units: number, perSecond: number) {
  return () => new Promise((resolve) => setTimeout(resolve, (units / perSecond) * 1000))
}

const change = databases.map(
  ({ name, open }): Comparison => ({
    bench: `rbac/audited-change-${name}`,
    subject: 'a transaction with an own insert and audit.log',
    reference: 'the same two inserts by hand',
    floor: 0.8,
    async open() {
      const { knex, rbac, close } = await opened(open)
      await knex.schema.createTable('keys', (table) => {
        table.string('id', 64).primary()
        table.string('name', 64)
      })
      const { id, random } = createRuntime()
      const own = (tx: typeof knex) => tx('keys').insert({ id: id('key'), name: 'CI' })
      let i = 0
      return {
        subject: () =>
          knex.transaction(async (tx) => {
            await own(tx)
            const { id: _, eventId, time, erased, ...entry } = entryOf('acme', i++)
            await rbac.audit.log(entry, { tx })
          }),
        reference: () =>
          knex.transaction(async (tx) => {
            await own(tx)
            const row = auditTable(tx, 'rbac_').encode(recordOf(entryOf('globex', i++), random))
            await tx('rbac_audit_entries').insert(row)
          }),
        close,
      }
    },
  }),
)

/** Entries in one call, and calls that a round may make. */
const sealed = 2000
const perRound = 12

const seal = databases.map(
  ({ name, open }): Comparison => ({
    bench: `rbac/audit-seal-${name}`,
    subject: 'entries sealed',
    reference: 'a pace of 20,000 a second',
    floor: 1,
    async open() {
      const { knex, rbac, close } = await opened(open)
      await fill(knex, 'template', sealed)
      let made = 0
      let next = 0
      // As in an app, whose sealer comes within a second: what is sealed has just been written.
      const layOut = async () => {
        await knex('rbac_audit_entries').whereNot('tenant_id', 'template').delete()
        if (name === 'postgres') await knex.raw('vacuum analyze rbac_audit_entries')
        next = made
        const tenants = Array.from({ length: perRound }, () => `tenant-${made++}`)
        await copyTo(knex, 'template', tenants)
      }
      const subject = async () => {
        const { sealed: count } = await rbac.audit.seal({ tenantId: `tenant-${next++}` })
        if (count !== sealed) throw new Error('There is nothing left to seal: lay out more of it.')
      }
      return { subject, reference: pace(sealed, 20_000), unitsPerCall: sealed, layOut, close }
    },
  }),
)

const long = 20_000

const verify = databases.map(
  ({ name, open }): Comparison => ({
    bench: `rbac/audit-verify-${name}`,
    subject: 'entries verified',
    reference: 'a pace of 100,000 a second',
    floor: 1,
    async open() {
      const { knex, rbac, close } = await opened(open)
      await fill(knex, 'acme', long)
      await rbac.audit.seal()
      await knex.raw('analyze')
      const subject = async () => {
        const { ok, sealed: count } = await rbac.audit.verify({ tenantId: 'acme' })
        if (!ok || count !== long) throw new Error('The log is not whole.')
      }
      return { subject, reference: pace(long, 100_000), unitsPerCall: long, close }
    },
  }),
)

const filters = [
  {},
  { user: 'user-7' },
  { action: 'key.*', resourceType: 'key', resourceId: 'key_7' },
  { requestId: 'req-7' },
]

const query = databases.map(
  ({ name, open }): Comparison => ({
    bench: `rbac/audit-page-${name}`,
    subject: 'a page of a log of 1,000,000',
    reference: 'the same page of a log of 1,000',
    floor: 0.7,
    async open() {
      const [big, small] = [await opened(open), await opened(open)]
      await fillUp(big.knex, 'acme', 1_000_000)
      await fillUp(small.knex, 'acme', 1000)
      const pages = ({ rbac }: typeof big) => {
        let i = 0
        return () => rbac.audit.query({ tenantId: 'acme' }, { limit: 5, ...filters[i++ % filters.length] })
      }
      const close = async () => {
        await big.close()
        await small.close()
      }
      return { subject: pages(big), reference: pages(small), close }
    },
  }),
)

export const comparisons: Comparison[] = [...change, ...seal, ...verify, ...query]
