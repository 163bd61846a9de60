import assert from 'node:assert/strict'
import type { Random, Slice } from '@org/core'
import { type ContractCase, contractCase } from '@org/core/testing'
import { recordOf } from '../audit/canonical.js'
import { type AuditRecord, entryOf, withoutWhat, withoutWho } from '../audit/record.js'
import type { AuditEntry } from '../audit/schema.js'
import type { AuditFilter, AuditPosition } from '../audit/store.js'
import type { RbacStorage } from '../storage/port.js'

const key = (id: string) => ({ type: 'key', id })

export const auditContract: readonly ContractCase<RbacStorage>[] = [
  contractCase('keeps an entry as it is', async ({ storage }) => {
    const full = entry({
      id: 'aud_1',
      eventId: 'evt_1',
      targets: [key('key_1')],
      outcome: 'denied',
      data: { nested: { list: [1, null, 'é 🎉'], yes: true } },
      before: { name: 'old' },
      after: {},
      ip: '2001:db8::1',
      userAgent: 'curl/8',
      requestId: 'req-1',
    })
    await addEntries(storage, full, entry({ id: 'aud_0' }))
    assert.deepEqual(await entries(storage, {}), [full, entry({ id: 'aud_0' })])
  }),

  contractCase('records an event once in a tenant', async ({ storage }) => {
    const first = entry({ id: 'aud_1', eventId: 'evt_1', targets: [key('key_1')] })
    await addEntries(storage, first)
    const again = entry({ id: 'aud_1', eventId: 'evt_1', targets: [key('key_2'), key('key_3')] })
    assert.deepEqual(await storage.run(({ audit }) => audit.insertOrFind(again, [key('key_3')])), first)
    await addEntries(storage, entry({ id: 'aud_1', eventId: 'evt_1', tenantId: 't2' }))
    await addEntries(storage, entry({ id: 'aud_4' }), entry({ id: 'aud_5' }))
    assert.deepEqual(await idsOf(storage, {}), ['aud_5', 'aud_4', 'aud_1'])
    assert.deepEqual(await idsOf(storage, {}, 't2'), ['aud_1'])
    assert.deepEqual(await idsOf(storage, { resourceId: 'key_3' }), [])
  }),

  contractCase('filters the log by actor, action, outcome, request and time', async ({ storage }) => {
    const ann = { type: 'user' as const, id: 'ann' }
    const bob = { type: 'user' as const, id: 'bob' }
    await addEntries(
      storage,
      entry({ id: 'aud_1', time: 100, actor: ann, action: 'key.created', requestId: 'r1' }),
      entry({ id: 'aud_2', time: 200, actor: bob, action: 'key.created', outcome: 'denied' }),
      entry({ id: 'aud_3', time: 300, actor: ann, action: 'key.revoked', requestId: 'r1' }),
      entry({ id: 'aud_4', time: 400, action: 'keyboard.bought', outcome: 'failure' }),
      entry({ id: 'aud_5', time: 500, tenantId: 't2', actor: ann, action: 'key.created', requestId: 'r1' }),
    )
    const cases: [AuditFilter, string[]][] = [
      [{ user: 'ann' }, ['aud_3', 'aud_1']],
      [{ action: 'key.created' }, ['aud_2', 'aud_1']],
      [{ action: 'key.*' }, ['aud_3', 'aud_2', 'aud_1']],
      [{ action: 'key.*', user: 'bob' }, ['aud_2']],
      [{ actions: ['keyboard.*', 'key.revoked', 'none.*'] }, ['aud_4', 'aud_3']],
      [{ action: 'key' }, []],
      [{ action: 'nothing.*' }, []],
      [{ outcome: 'denied' }, ['aud_2']],
      [{ outcome: 'success' }, ['aud_3', 'aud_1']],
      [{ outcome: 'failure', from: 400 }, ['aud_4']],
      [{ requestId: 'r1' }, ['aud_3', 'aud_1']],
      [{ from: 200, to: 400 }, ['aud_3', 'aud_2']],
      [{ user: 'ann', action: 'key.revoked', from: 301 }, []],
    ]
    for (const [filter, ids] of cases) assert.deepEqual(await idsOf(storage, filter), ids, JSON.stringify(filter))
  }),

  contractCase('walks through more actions than it reads one by one', async ({ storage }) => {
    const rows = Array.from({ length: 120 }, (_, i) => entry({ id: `aud_${i}`, time: i, action: `many.a${i}` }))
    await addEntries(storage, ...rows, entry({ id: 'aud_x', time: 500, action: 'other' }))
    assert.deepEqual(await idsOf(storage, { action: 'many.*', to: 2 }), ['aud_1', 'aud_0'])
    assert.deepEqual(await idsOf(storage, { actions: ['many.a1*', 'many.*', 'other'], from: 119 }), [
      'aud_x',
      'aud_119',
    ])
  }),

  contractCase('finds an entry by any of its targets, once', async ({ storage }) => {
    const user = { type: 'user', id: 'k1' }
    await addEntries(
      storage,
      entry({ id: 'aud_1', time: 100, targets: [key('k1')] }),
      entry({ id: 'aud_2', time: 200, targets: [key('k2'), key('k1'), user] }),
      entry({ id: 'aud_3', time: 300, targets: [user] }),
      entry({ id: 'aud_4', time: 400, targets: [key('k3')], action: 'key.created' }),
      entry({ id: 'aud_5', time: 500 }),
    )
    const cases: [AuditFilter, string[]][] = [
      [{ resourceType: 'key' }, ['aud_4', 'aud_2', 'aud_1']],
      [{ resourceType: 'user' }, ['aud_3', 'aud_2']],
      [{ resourceId: 'k1' }, ['aud_3', 'aud_2', 'aud_1']],
      [{ resourceType: 'key', resourceId: 'k1' }, ['aud_2', 'aud_1']],
      [{ resourceType: 'key', resourceId: 'k2' }, ['aud_2']],
      [{ resourceType: 'key', action: 'app.*' }, ['aud_2', 'aud_1']],
      [{ resourceId: 'k1', from: 150, to: 250 }, ['aud_2']],
    ]
    for (const [filter, ids] of cases) {
      assert.deepEqual(await idsOf(storage, filter), ids, JSON.stringify(filter))
      const paged: string[] = []
      for (let after: AuditPosition | null = null; ; ) {
        const slice: Slice<AuditPosition> = { limit: 1, after }
        const [row]: AuditRecord[] = await storage.read(({ audit }) => audit.list('t1', filter, slice))
        if (!row) break
        paged.push(row.id)
        after = [row.time, row.id]
      }
      assert.deepEqual(paged, ids, `${JSON.stringify(filter)}, page by page`)
    }
  }),

  contractCase('finds text in either case, and takes no sign of it for a pattern', async ({ storage }) => {
    await addEntries(
      storage,
      entry({ id: 'aud_1', time: 1, data: { note: 'A 100% Sure "Thing"' } }),
      entry({ id: 'aud_2', time: 2, data: { note: 'a 1000 sure thing' }, before: { path: 'a\\b!c' } }),
      entry({ id: 'aud_3', time: 3, targets: [{ type: 'file', id: 'Under_Score' }] }),
      entry({ id: 'aud_4', time: 4, actor: { type: 'user', id: 'Zoe' } }),
    )
    const cases: [string, string[]][] = [
      ['SURE', ['aud_2', 'aud_1']],
      ['100%', ['aud_1']],
      ['under_score', ['aud_3']],
      ['r_s', ['aud_3']],
      ['"thing"', ['aud_1']],
      ['A\\B!C', ['aud_2']],
      ['zoe', ['aud_4']],
      ['APP.started', ['aud_4', 'aud_3', 'aud_2', 'aud_1']],
      // How an entry is kept is none of its text.
      ['targets', []],
    ]
    for (const [text, ids] of cases) assert.deepEqual(await idsOf(storage, { text }), ids, text)
  }),

  contractCase('pages through entries of one moment', async ({ storage }) => {
    await addEntries(
      storage,
      entry({ id: 'aud_3', time: 1 }),
      entry({ id: 'aud_1', time: 2 }),
      entry({ id: 'aud_2', time: 2 }),
    )
    const page = (after: [number, string] | null) =>
      storage.read(async ({ audit }) => (await audit.list('t1', {}, { limit: 1, after })).map(({ id }) => id))
    assert.deepEqual(await page(null), ['aud_2'])
    assert.deepEqual(await page([2, 'aud_2']), ['aud_1'])
    assert.deepEqual(await page([2, 'aud_1']), ['aud_3'])
    assert.deepEqual(await page([1, 'aud_3']), [])
  }),

  contractCase('finds whom an entry names, and erases either part', async ({ storage }) => {
    const ann = { type: 'user', id: 'ann' } as const
    const rows = [
      entry({ id: 'aud_1', time: 1, actor: ann, ip: '192.0.2.1' }),
      entry({ id: 'aud_2', time: 1, targets: [key('k1'), ann] }),
      entry({ id: 'aud_3', time: 2, data: { email: 'Ann@A.example' } }),
      entry({ id: 'aud_4', time: 3, data: { text: 'ann was here' }, actor: { type: 'key', id: 'ann' } }),
      entry({ id: 'aud_5', time: 3, tenantId: 't2', actor: ann, targets: [ann] }),
    ]
    await addEntries(storage, ...rows)
    const ids = (list: AuditRecord[]) => list.map(({ id }) => id)
    await storage.run(async ({ audit }) => {
      const all = { limit: 10, after: null }
      assert.deepEqual(ids(await audit.by('t1', 'ann', all)), ['aud_1'])
      const texts = ['"ann"', '"ann@A.example"']
      assert.deepEqual(ids(await audit.naming('t1', texts, all)), ['aud_2', 'aud_3'])
      assert.deepEqual(ids(await audit.naming('t1', texts, { limit: 1, after: [1, 'aud_2'] })), ['aud_3'])
      await audit.erase('t1', 'who', [[1, 'aud_1']])
      await audit.erase('t1', 'what', [[1, 'aud_2']])
    })
    const [, , two, one] = await entries(storage, {})
    assert.deepEqual(one, { ...rows[0], ...withoutWho() })
    assert.deepEqual(two, { ...rows[1], ...withoutWhat() })
    assert.deepEqual(await idsOf(storage, { resourceId: 'ann' }), [])
    assert.deepEqual(await idsOf(storage, { user: 'ann' }, 't2'), ['aud_5'])
  }),
]

const noChance: Random = { number: () => 0, bytes: (size) => new Uint8Array(size) }

/** As the service makes one ready to be kept. */
export function entry(fields: Partial<AuditEntry>): AuditRecord {
  const origin = { ip: null, userAgent: null, requestId: null }
  const change = { data: {}, before: null, after: null }
  const actor = { type: 'system', id: 'system' } as const
  const resource = fields.targets?.[0] ?? null
  const what = { action: 'app.started', resource, targets: [], outcome: 'success' } as const
  const full: AuditEntry = {
    ...{ id: 'aud_0', eventId: null, tenantId: 't1', time: 1_767_225_600_123, actor },
    ...{ ...what, ...change, ...origin, targets: [] },
    ...fields,
  }
  return recordOf(full, noChance)
}

export async function addEntries(storage: RbacStorage, ...rows: AuditRecord[]): Promise<void> {
  await storage.run(async ({ audit }) => {
    for (const row of rows) await audit.insertOrFind(row, entryOf(row).targets.slice(1))
  })
}

export function entries(storage: RbacStorage, filter: AuditFilter, tenantId = 't1'): Promise<AuditRecord[]> {
  return storage.read(({ audit }) => audit.list(tenantId, filter, { limit: 200, after: null }))
}

async function idsOf(storage: RbacStorage, filter: AuditFilter, tenantId?: string): Promise<string[]> {
  return (await entries(storage, filter, tenantId)).map(({ id }) => id)
}
