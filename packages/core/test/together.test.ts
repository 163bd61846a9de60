/** The promise of the whole: what the three modules write joins the host's transaction, and each other's. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { memoryStorage as billingMemory, createBilling, defineCatalog } from '@org/billing'
import { knexStorage as billingKnex, migrate as migrateBilling } from '@org/billing/knex'
import { type Ability, allows, type EventSink, memoryDatabase, type Tx } from '@org/core'
import { fakeClock, recordingLogger, testDatabases } from '@org/core/testing'
import { createRbac, memoryStorage as rbacMemory } from '@org/rbac'
import { migrate as migrateRbac, knexStorage as rbacKnex } from '@org/rbac/knex'
import { createWebhooks, memoryStorage as webhooksMemory } from '@org/webhooks'
import { migrate as migrateWebhooks, knexStorage as webhooksKnex } from '@org/webhooks/knex'
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest'

const catalog = defineCatalog({
  currency: 'usd',
  features: {},
  meters: { requests: {} },
  plans: { free: { name: 'Free', rank: 0, meters: { requests: { included: 2, limit: 'hard', alerts: [0.5] } } } },
  defaultPlan: 'free',
})

interface Opened {
  storages: {
    rbac: ReturnType<typeof rbacMemory>
    webhooks: ReturnType<typeof webhooksMemory>
    billing: ReturnType<typeof billingMemory>
  }
  /** A transaction of the host. */
  transaction<T>(work: (tx: Tx) => Promise<T>): Promise<T>
  close(): Promise<void>
}

const databases: { name: string; missing: string | null; open: () => Promise<Opened> }[] = [
  {
    name: 'memory',
    missing: null,
    async open() {
      const database = memoryDatabase()
      return {
        storages: {
          rbac: rbacMemory({ database }),
          webhooks: webhooksMemory({ database }),
          billing: billingMemory({ database }),
        },
        transaction: (work) => database.transaction(work),
        close: async () => {},
      }
    },
  },
  ...(await testDatabases()).map(({ name, missing, open }) => ({
    name,
    missing,
    async open() {
      const db = await open({ pool: 1 })
      for (const migrate of [migrateRbac, migrateWebhooks, migrateBilling]) await migrate(db.knex)
      return {
        storages: { rbac: rbacKnex(db.knex), webhooks: webhooksKnex(db.knex), billing: billingKnex(db.knex) },
        transaction: <T>(work: (tx: Tx) => Promise<T>) => db.knex.transaction(work),
        close: db.close,
      }
    },
  })),
]

const tenantId = 'acme'
const fiveDays = 5 * 24 * 60 * 60 * 1000
const scope = { tenantId }

for (const { name, missing, open } of databases) {
  describe.skipIf(missing)(`all three modules on ${name}`, () => {
    let opened: Opened
    let modules: ReturnType<typeof wire>
    let extra: EventSink

    function wire({ storages }: Opened) {
      const clock = fakeClock()
      const shared = { clock, logger: recordingLogger() }
      const last: EventSink = (event, tx) => extra(event, tx)
      const rbac = createRbac({
        ...shared,
        storage: storages.rbac,
        events: [(event, tx): Promise<void> => webhooks.sink(event, tx), last],
      })
      const webhooks = createWebhooks({
        ...shared,
        storage: storages.webhooks,
        network: { allow: ['127.0.0.1'], allowHttp: true },
        retry: { scheduleMs: [0, fiveDays, 0] },
        events: [rbac.audit.sink, last],
      })
      const billing = createBilling({
        ...shared,
        catalog,
        storage: storages.billing,
        events: [webhooks.sink, rbac.audit.sink, last],
      })
      return { rbac, webhooks, billing, clock }
    }

    beforeEach(async () => {
      extra = () => {}
      opened = await open()
      modules = wire(opened)
      return () => opened.close()
    })

    async function everything(tx?: Tx) {
      const { rbac, webhooks, billing } = modules
      const own = tx && { tx }
      await webhooks.endpoints.create({ ...scope, ...own }, { url: 'https://hooks.example.com/' })
      await rbac.assignments.assign({ ...scope, ...own }, { userId: 'olga', role: 'owner' })
      await webhooks.publish({ tenantId, type: 'key.created', data: { keyId: 'key_1' } }, own)
      await billing.usage.record({ tenantId, meter: 'requests', idempotencyKey: 'r1' }, own)
      await rbac.audit.log({ tenantId, action: 'key.created' }, own)
    }

    async function seen() {
      const { rbac, webhooks, billing } = modules
      const { data: log } = await rbac.audit.query(scope)
      const { data: deliveries } = await webhooks.deliveries.list(scope)
      const { data: endpoints } = await webhooks.endpoints.list(scope)
      const { meters } = await billing.usage.summary(scope)
      return {
        audit: log.map((entry) => entry.action).sort(),
        deliveries: deliveries.map((delivery) => delivery.eventType).sort(),
        endpoints: endpoints.length,
        used: meters[0]?.used,
        permissions: (await rbac.getUserPermissions('olga', { tenantId })).length > 0,
      }
    }

    const nothing = { audit: [], deliveries: [], endpoints: 0, used: 0, permissions: false }
    const all = {
      audit: ['alert.triggered', 'assignment.created', 'endpoint.created', 'key.created'],
      deliveries: ['alert.triggered', 'key.created'],
      endpoints: 1,
      used: 1,
      permissions: true,
    }

    it("leave nothing when the host's transaction rolls back, and everything when it commits", async () => {
      const rolledBack = opened.transaction(async (tx) => {
        await everything(tx)
        throw new Error('the host changed its mind')
      })
      await expect(rolledBack).rejects.toThrow('changed its mind')
      expect(await seen()).toEqual(nothing)
      await opened.transaction((tx) => everything(tx))
      expect(await seen()).toEqual(all)
    })

    it('turn a quota into a webhook and an audit entry, once', async () => {
      await everything()
      const { billing } = modules
      await billing.usage.record({ tenantId, meter: 'requests' })
      for (let i = 0; i < 2; i++) {
        const refused = billing.usage.record({ tenantId, meter: 'requests' })
        await expect(refused).rejects.toMatchObject({ code: 'quota_exceeded', status: 429 })
      }
      const after = await seen()
      expect(after.used).toBe(2)
      for (const list of [after.audit, after.deliveries]) {
        expect(list.filter((type) => type === 'quota.exceeded')).toHaveLength(1)
      }
    })

    it('write down that an endpoint was disabled for how it answered, or not at all if that cannot be written', async () => {
      const { rbac, webhooks, clock } = modules
      const statuses: Record<string, number> = { '/gone': 410, '/failing': 500 }
      const server = createServer((request, response) => response.writeHead(statuses[request.url ?? ''] ?? 404).end())
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      onTestFinished(() => void server.close().closeAllConnections())
      const { port } = server.address() as AddressInfo
      const add = async (path: string) =>
        (await webhooks.endpoints.create(scope, { url: `http://127.0.0.1:${port}${path}` })).id
      const gone = await add('/gone')
      const failing = await add('/failing')
      const disabled = async () => {
        const { data } = await rbac.audit.query(scope, { action: 'endpoint.disabled' })
        return data.map(({ actor, resource, after }) => ({ actor, id: resource?.id, reason: after?.disabledReason }))
      }
      await webhooks.publish({ tenantId, type: 'key.created', data: { keyId: 'key_1' } })

      extra = ({ type }) => {
        if (type === 'endpoint.disabled') throw new Error('the disk of the log is full')
      }
      expect(await webhooks.drain().catch(() => 'refused')).toEqual('refused')
      expect(await webhooks.endpoints.get(scope, gone)).toMatchObject({ enabled: true })
      expect(await disabled()).toEqual([])

      extra = () => {}
      clock.advance(60_000 + 60_000)
      await webhooks.drain()
      const actor = { type: 'system', id: 'system' }
      expect(await disabled()).toEqual([{ actor, id: gone, reason: 'gone' }])
      clock.advance(1.2 * fiveDays + 1)
      await webhooks.drain()
      expect(await webhooks.endpoints.get(scope, failing)).toMatchObject({ enabled: false })
      expect(await disabled()).toContainEqual({ actor, id: failing, reason: 'failing' })
      expect(await disabled()).toHaveLength(2)
    })

    it('take everything back when the last of several listeners throws', async () => {
      await everything()
      const before = await seen()
      extra = (event) => {
        throw new Error(`no ${event.type}`)
      }
      const { rbac, webhooks, billing } = modules
      await expect(rbac.assignments.assign(scope, { userId: 'eve', role: 'admin' })).rejects.toThrow('no assignment')
      const endpoint = webhooks.endpoints.create(scope, { url: 'https://two.example.com/' })
      await expect(endpoint).rejects.toThrow('no endpoint.created')
      await expect(billing.usage.record({ tenantId, meter: 'requests' })).rejects.toThrow('no quota.exceeded')
      extra = () => {}
      expect(await seen()).toEqual(before)
    })

    it("let an owner of rbac's into every route", async () => {
      await everything()
      const { rbac, webhooks, billing } = modules
      const ability = await rbac.abilityFor({ tenantId, userId: 'olga' })
      const guards = [rbac, webhooks, billing].flatMap(({ http }) => http.routes.map(({ id, can }) => ({ id, can })))
      const closed = guards.filter(({ can }) => typeof can !== 'string' && !allows(ability as Ability, can[0], can[1]))
      expect(guards.length).toBeGreaterThan(40)
      expect(closed).toEqual([])
    })

    it("show one tenant nothing of another's, and refuse a call without a tenant", async () => {
      await everything()
      const other = { tenantId: 'globex' }
      const { rbac, webhooks, billing } = modules
      expect((await rbac.audit.query(other)).data).toEqual([])
      expect((await webhooks.deliveries.list(other)).data).toEqual([])
      expect((await billing.usage.summary(other)).meters[0]?.used).toBe(0)
      const none = {} as typeof scope
      for (const call of [
        () => rbac.audit.query(none),
        () => rbac.assignments.list(none),
        () => webhooks.endpoints.list(none),
        () => webhooks.deliveries.list(none),
        () => webhooks.deadLetters.list(none),
        () => billing.usage.summary(none),
        () => billing.subscriptions.list(none),
        () => billing.invoices.list(none),
      ]) {
        await expect(call()).rejects.toMatchObject({ status: 422 })
      }
    })
  })
}
