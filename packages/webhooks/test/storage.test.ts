import { inspect } from 'node:util'
import { isProblem } from '@org/core'
import { recordingLogger, testDatabases } from '@org/core/testing'
import { createWebhooks } from '@org/webhooks'
import { knexStorage, migrate, migrations } from '@org/webhooks/knex'
import { storageContract } from '@org/webhooks/testing'
import type { Knex } from 'knex'
import { describe, expect, it, onTestFinished } from 'vitest'
import { cancelWaiting } from '../src/deliveries/cancel.js'
import type { StoredDelivery } from '../src/deliveries/schema.js'
import { addDeliveries, claim, delivery, endpoint, idsOf, message } from '../src/testing/fixtures.js'
import { deliveriesOf, jobsWorld, seed, seedMessages } from './jobs-world.js'
import { testStorages } from './storages.js'
import { waitsFor } from './waits.js'
import { keyCreated, scope, world } from './world.js'

for (const { name, missing, open } of await testStorages()) {
  describe.skipIf(missing)(`storage contract on ${name}`, () => {
    it.each(storageContract)('$name', ({ run }) => run(open))
  })
}

for (const database of await testDatabases()) {
  describe.skipIf(database.missing)(`migrations on ${database.name}`, () => {
    it('are applied once, under any prefix, and asked for when they are missing', async () => {
      const { knex, close } = await database.open()
      try {
        const missing = createWebhooks({ storage: knexStorage(knex, { prefix: 'hooks_' }) })
        const refused = await missing.endpoints.list({ tenantId: 't1' }).catch((error: unknown) => error)
        expect(isProblem(refused) && [refused.code, refused.detail]).toEqual([
          'not_migrated',
          expect.stringContaining("'@org/webhooks/knex'"),
        ])
        const [first, second] = await Promise.all([
          migrate(knex, { prefix: 'hooks_' }),
          migrate(knex, { prefix: 'hooks_' }),
        ])
        expect([...first, ...second].sort()).toEqual(migrations.map(({ name }) => name))
        expect(await missing.endpoints.list({ tenantId: 't1' })).toEqual({ data: [], next: null })
      } finally {
        await close()
      }
    })

    it('says what failed without the secret that was to be written', async () => {
      const { knex, close } = await database.open()
      try {
        await migrate(knex)
        await knex.schema.alterTable('webhooks_endpoints', (table) => table.dropColumn('description'))
        const { endpoints } = createWebhooks({ storage: knexStorage(knex) })
        const created = endpoints.create({ tenantId: 't1' }, { url: 'https://example.com' })
        const error = await created.catch((caught: unknown) => caught)
        const cause = (error as Error).cause
        expect(inspect(cause, { depth: null })).not.toContain('whsec_')
        expect((cause as Error).message).toMatch(/^insert into .webhooks_endpoints … - .*description/)
      } finally {
        await close()
      }
    })
  })
}

for (const database of await testDatabases()) {
  describe.skipIf(database.missing)(`several workers on ${database.name}`, () => {
    const opened = async () => {
      const { knex, connect, close } = await database.open({ pool: 6 })
      await migrate(knex)
      const other = connect({ pool: 6 })
      onTestFinished(async () => {
        await other.destroy()
        await close()
      })
      return { knex, storage: knexStorage(knex), second: knexStorage(other) }
    }

    it('never take the same, nor two of one key in an order', async () => {
      const { storage, second } = await opened()
      const keyed = Array.from({ length: 90 }, (_, n) =>
        delivery({ id: `del_k${100 + n}`, endpointId: 'ep_k', orderKey: `k${n % 30}`, position: n }),
      )
      const free = Array.from({ length: 200 }, (_, n) => delivery({ id: `del_f${100 + n}` }))
      await addDeliveries(storage, ...keyed, ...free)
      const rooms = new Map(Object.entries({ ep_1: 15, ep_k: 7 }))
      const ordered = new Set(['ep_k'])
      const taken = new Map<string, StoredDelivery>()
      for (let round = 0; round < 6; round++) {
        const claims = [0, 1, 2, 3].map((n) =>
          claim(n % 2 ? storage : second, { rooms, ordered, token: `lease_${round}_${n}` }),
        )
        for (const { deliveries } of await Promise.all(claims)) {
          for (const row of deliveries) {
            expect([row.id, taken.has(row.id)]).toEqual([row.id, false])
            taken.set(row.id, row)
          }
        }
      }
      const rows = [...taken.values()]
      expect(rows.filter(({ endpointId }) => endpointId === 'ep_1')).toHaveLength(200)
      const keys = rows.flatMap(({ orderKey }) => orderKey ?? [])
      expect(keys.length).toBe(30)
      expect(new Set(keys).size).toBe(30)
      expect(rows.filter(({ orderKey }) => orderKey !== null).every(({ position }) => position < 30)).toBe(true)
    })

    it('publish once for a key, whoever comes first', async () => {
      const { storage, second } = await opened()
      const publish = (n: number) =>
        (n % 2 ? storage : second).run(({ messages }) =>
          messages.insertOrFind(message({ id: `msg_${n}`, idempotencyKey: 'k' })),
        )
      const found = await Promise.all([0, 1, 2, 3, 4].map(publish))
      const first = found.indexOf(null)
      expect(found.map((row) => row?.id ?? null)).toEqual(found.map((_, n) => (n === first ? null : `msg_${first}`)))
    })

    it.skipIf(database.name === 'sqlite')('go past what another holds', async () => {
      const { knex, storage, second } = await opened()
      await storage.run(async ({ endpoints, messages, deliveries }) => {
        for (const id of ['ep_1', 'ep_2']) await endpoints.insert(endpoint({ id }))
        const tenants = ['t1', 't1', 't2']
        await messages.insert(tenants.map((tenantId, n) => message({ id: `msg_${n + 1}`, tenantId, fanOutAfter: '' })))
        await deliveries.insert([
          delivery({ id: 'del_1', orderKey: 'a', position: 1 }),
          delivery({ id: 'del_2', orderKey: 'a', position: 2 }),
          delivery({ id: 'del_3' }),
        ])
      })
      await knex.transaction(async (tx) => {
        await tx('webhooks_health').where('endpoint_id', 'ep_1').forUpdate()
        await tx('webhooks_messages').where('id', 'msg_1').forUpdate()
        await tx('webhooks_deliveries').where('id', 'del_1').forUpdate()
        await second.run(async ({ endpoints, messages }) => {
          const locked = await endpoints.lockHealth(['ep_1', 'ep_2'])
          expect(locked.map(({ endpointId }) => endpointId)).toEqual(['ep_2'])
          // Nor what must come after it.
          expect((await messages.toFanOut(9)).map(({ id }) => id)).toEqual(['msg_3'])
        })
        expect(idsOf(await claim(second, { ordered: new Set(['ep_1']) }))).toEqual(['del_3'])
      })
      expect(idsOf(await claim(second, { ordered: new Set(['ep_1']) }))).toEqual(['del_1'])
    })

    it.skipIf(database.name === 'sqlite')('coalesce also what another is fanning out', async () => {
      const { knex, storage, second } = await opened()
      const earlier = message({ coalesceKey: 'c', fanOutAfter: '' })
      await storage.run(({ messages }) => messages.insert([earlier]))
      let coalesced: Promise<unknown> = Promise.resolve()
      await storage.run(async ({ messages, deliveries }) => {
        expect(await messages.toFanOut(1)).toEqual([earlier])
        coalesced = second.run(async (stores) => {
          await stores.messages.stopFanOut(message({ id: 'msg_2', coalesceKey: 'c' }))
          return cancelWaiting(stores, { tenantId: 't1', coalesceKey: 'c' }, 80)
        })
        await waitsFor(knex, 'webhooks_messages')
        await deliveries.insert([delivery({ coalesceKey: 'c' })])
        await messages.update(earlier.id, { fanOutAfter: 'ep_1' })
      })
      expect(await coalesced).toBe(1)
      expect((await storage.read(({ messages }) => messages.get('t1', earlier.id)))?.fanOutAfter).toBe(null)
    })

    it.skipIf(database.name === 'sqlite')('replay nothing that another is removing', async () => {
      const { knex, storage, second } = await opened()
      const { webhooks, worker } = jobsWorld(second)
      const { id: endpointId } = await webhooks.endpoints.create(scope, { url: 'https://example.com/hooks' })
      await storage.run(({ messages }) => messages.insert(seedMessages(2)))
      const { id } = await webhooks.replay(scope, { endpointId, since: 0 })
      let turn: Promise<unknown> = Promise.resolve()
      await storage.run(async ({ retention }) => {
        const { messageIds } = await retention.ended({ after: '', limit: 1, before: 1, withPayload: false })
        expect(messageIds).toEqual(['msg_00000'])
        turn = worker().goOn()
        await waitsFor(knex, 'webhooks_messages')
        await retention.removeMessages(messageIds)
      })
      await turn
      expect(await webhooks.jobs.get(scope, id)).toMatchObject({ processed: 2, affected: 1, skipped: 1 })
      const made = await deliveriesOf(storage, endpointId)
      expect(made.map(({ messageId }) => messageId)).toEqual(['msg_00001'])
    })

    it.skipIf(database.name === 'sqlite').each(['retry', 'redrive', 'redrive all'] as const)(
      '%s nothing whose payload another is expunging',
      async (how) => {
        const { knex, storage, second } = await opened()
        const { webhooks, worker } = jobsWorld(second)
        const { id: endpointId } = await webhooks.endpoints.create(scope, { url: 'https://example.com/hooks' })
        const [id = ''] = await seed(storage, 1, { endpointId, status: 'dead_letter' })
        const job = how === 'redrive all' ? await webhooks.deadLetters.redriveAll(scope) : null
        const again = async () => {
          if (how === 'retry') await webhooks.deliveries.retry(scope, id)
          else if (how === 'redrive') await webhooks.deadLetters.redrive(scope, id)
          else await worker().goOn()
        }
        let outcome: Promise<unknown> = Promise.resolve()
        await storage.run(async ({ retention, messages }) => {
          await messages.update('msg_00000', { fanOutAfter: null })
          outcome = again().catch((error: unknown) => (isProblem(error) ? error.code : error))
          await waitsFor(knex, 'webhooks_messages')
          // Whoever had locked the delivery first would wait for retention, which may come to wait for that.
          await knex.transaction((tx) => tx('webhooks_deliveries').where({ id }).forUpdate().noWait().select('id'))
          await retention.forgetPayloads(['msg_00000'])
        })
        expect(await outcome).toBe(job ? undefined : 'payload_expunged')
        if (job) expect(await webhooks.jobs.get(scope, job.id)).toMatchObject({ affected: 0, skipped: 1 })
        expect((await webhooks.deliveries.get(scope, id)).status).toBe('dead_letter')
      },
    )

    it.skipIf(database.name === 'sqlite')('remove nothing that another is replaying', async () => {
      const { storage, second } = await opened()
      await storage.run(({ messages }) => messages.insert(seedMessages(2)))
      await storage.run(async ({ messages }) => {
        expect(await messages.withPayload(['msg_00000', 'msg_00009'], { keep: true })).toEqual(['msg_00000'])
        const request = { after: '', limit: 9, before: 1, withPayload: false }
        const { messageIds } = await second.run(({ retention }) => retention.ended(request))
        expect(messageIds).toEqual(['msg_00001'])
      })
    })

    it.skipIf(database.name === 'sqlite')('wait for the health that another is about to write', async () => {
      const { knex, storage, second } = await opened()
      await storage.run(({ endpoints }) => endpoints.insert(endpoint()))
      let waiting: Promise<unknown> = Promise.resolve()
      await storage.run(async ({ endpoints }) => {
        const [health] = await endpoints.awaitHealth(['ep_1'])
        if (!health) throw new Error('every endpoint has one')
        waiting = second.run((stores) => stores.endpoints.awaitHealth(['ep_1']))
        await waitsFor(knex, 'webhooks_health')
        const { tenantId: _, ...patch } = health
        await endpoints.updateHealth([{ ...patch, failures: 7 }])
      })
      expect(await waiting).toMatchObject([{ endpointId: 'ep_1', failures: 7 }])
    })
  })
}

for (const database of await testDatabases()) {
  describe.skipIf(database.missing)(`the cost of publishing on ${database.name}`, () => {
    it('is by what still waits, whatever was published before', async () => {
      const { knex, close } = await database.open({ pool: 1 })
      onTestFinished(close)
      await migrate(knex)
      const storage = knexStorage(knex)
      await storage.run(async ({ messages, deliveries }) => {
        const numbers = Array.from({ length: 3_000 }, (_, n) => n)
        await messages.insert(numbers.map((n) => message({ id: `msg_${n}`, coalesceKey: 'c' })))
        const ended = { coalesceKey: 'c', status: 'delivered', endedAt: 1 } as const
        await deliveries.insert(numbers.map((n) => delivery({ id: `del_${n}`, messageId: `msg_${n}`, ...ended })))
        await deliveries.insert([delivery({ id: 'del_w', coalesceKey: 'c' }), delivery({ id: 'del_x' })])
        await messages.insert([message({ id: 'msg_w', coalesceKey: 'c', fanOutAfter: '' })])
      })
      if (database.name === 'postgres') await knex.raw('analyze webhooks_deliveries, webhooks_messages')
      else if (database.name === 'mariadb') await knex.raw('analyze table webhooks_deliveries, webhooks_messages')
      else await knex.raw('analyze')
      const statements: { sql: string; bindings: Knex.Value[] }[] = []
      knex.on('query', (query) => statements.push(query))
      await storage.read(async ({ messages, deliveries }) => {
        await deliveries.lockWaiting({ tenantId: 't1', coalesceKey: 'c' })
        await messages.stopFanOut(message({ id: 'msg_w', coalesceKey: 'c' }))
        await messages.anyToFanOut('t1')
      })
      const selects = statements.filter(({ sql }) => sql.startsWith('select'))
      const indexes = selects.map(({ sql }) =>
        sql.includes('deliveries') ? 'deliveries_coalesce' : 'messages_fan_out',
      )
      expect(indexes).toEqual(['deliveries_coalesce', 'messages_fan_out', 'messages_fan_out'])
      for (const [n, { sql, bindings }] of selects.entries()) {
        const explain = database.name === 'sqlite' ? 'explain query plan' : 'explain'
        const plan = JSON.stringify(await knex.raw(`${explain} ${sql.replaceAll(/\$\d+/g, '?')}`, bindings))
        expect(plan).toMatch(new RegExp(`(INDEX |Scan using |"key":")webhooks_${indexes[n]}`))
      }
    })

    it('is two inserts and a read, and another read where an order is kept', async () => {
      const { knex, close } = await database.open({ pool: 1 })
      onTestFinished(close)
      await migrate(knex)
      const { webhooks } = world({ storage: knexStorage(knex) })
      const { id } = await webhooks.endpoints.create(scope, { url: 'https://example.com/hooks' })
      const verbs: string[] = []
      knex.on('query', ({ sql }: { sql: string }) => verbs.push(sql.split(' ', 1)[0] ?? ''))
      const counted = async () => {
        verbs.length = 0
        await webhooks.publish({ ...keyCreated, orderingKey: 'k' })
        return verbs.filter((verb) => /^(select|insert|update)$/.test(verb)).sort()
      }
      // Sent on the connection itself, which the listener does not hear.
      const inserts = database.name === 'sqlite' ? [] : ['insert', 'insert']
      expect(await counted()).toEqual([...inserts, 'select'])
      await webhooks.endpoints.update(scope, id, { ordering: 'key' })
      // Whether anything waits to be fanned out, and behind what it has its place.
      expect(await counted()).toEqual([...inserts, 'select', 'select', 'select'])
    })
  })
}

it('says once, through the logger, that memory is all there is', () => {
  const logger = recordingLogger()
  createWebhooks({ logger })
  expect(logger.entries.map(({ level }) => level)).toEqual(['warn'])
})
