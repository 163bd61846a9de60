import assert from 'node:assert/strict'
import { type ContractCase, contractCase } from '@org/core/testing'
import type { StoredKey } from '../keys/schema.js'
import type { RbacStorage } from '../storage/port.js'

export const keyContract: readonly ContractCase<RbacStorage>[] = [
  contractCase('keeps a key as it is, for its own tenant', async ({ storage }) => {
    const full = storedKey({
      id: 'key_1',
      name: 'é 🎉',
      scopes: ['keys:*', '*:read'],
      allowedIps: ['10.0.0.0/8', '2001:db8::/32'],
      rateLimit: { limit: 100, windowMs: 60_000 },
      expiresAt: 1_767_225_700_000,
      lastUsedAt: 1_767_225_600_500,
      revokedAt: 1_767_225_600_900,
    })
    const plain = storedKey({ id: 'key_2', userId: null })
    await addKeys(storage, full, plain)
    const find = (tenantId: string, id: string) => storage.read(({ keys }) => keys.find(tenantId, id))
    assert.deepEqual(await find('t1', 'key_1'), full)
    assert.deepEqual(await find('t1', 'key_2'), plain)
    assert.equal(await find('t2', 'key_1'), null)
    assert.equal(await find('T1', 'key_1'), null)
    assert.deepEqual(await storage.run(({ keys }) => keys.find('t1', 'key_1', { lock: true })), full)
  }),

  contractCase('finds a key by the hash of any of its secrets', async ({ storage }) => {
    const key = storedKey({ id: 'key_1' })
    await addKeys(storage, key, storedKey({ id: 'key_2' }))
    const secret = (hash: string, expiresAt: number | null = null) => ({ hash, keyId: 'key_1', expiresAt })
    const set = (...secrets: ReturnType<typeof secret>[]) =>
      storage.run(({ keys }) => keys.setSecrets('key_1', secrets))
    const by = (hash: string) => storage.read(({ keys }) => keys.bySecret(hash))
    await set(secret('aa'))
    assert.deepEqual(await by('aa'), { key, secret: secret('aa') })
    assert.equal(await by('AA'), null)
    assert.equal(await by(''), null)
    await set(secret('bb'), secret('aa', 1_767_225_700_000))
    assert.deepEqual(await by('aa'), { key, secret: secret('aa', 1_767_225_700_000) })
    assert.deepEqual(await storage.read(({ keys }) => keys.secretsOf('key_1')), [
      secret('aa', 1_767_225_700_000),
      secret('bb'),
    ])
    await set(secret('cc'))
    assert.equal(await by('aa'), null)
    assert.equal(await by('bb'), null)
    assert.deepEqual(await storage.read(({ keys }) => keys.secretsOf('key_2')), [])
  }),

  contractCase('lists keys, the newest first, slice by slice and by maker', async ({ storage }) => {
    await addKeys(
      storage,
      storedKey({ id: 'key_1' }),
      storedKey({ id: 'key_2', userId: 'bob' }),
      storedKey({ id: 'key_3', revokedAt: 5 }),
      storedKey({ id: 'key_4', tenantId: 't2' }),
      storedKey({ id: 'key_5', userId: null }),
    )
    const list = (filter: object, after: [string] | null, limit = 10) =>
      storage.read(async ({ keys }) => (await keys.list('t1', filter, { limit, after })).map(({ id }) => id))
    assert.deepEqual(await list({}, null), ['key_5', 'key_3', 'key_2', 'key_1'])
    assert.deepEqual(await list({}, ['key_3'], 1), ['key_2'])
    assert.deepEqual(await list({ userId: 'ann' }, null), ['key_3', 'key_1'])
    assert.deepEqual(await list({ userId: 'Ann' }, null), [])
    const live = await storage.run(({ keys }) => keys.lockOfUser('t1', 'ann'))
    assert.deepEqual(live, [storedKey({ id: 'key_1' })])
  }),

  contractCase('changes a key, and notes the latest use', async ({ storage }) => {
    await addKeys(storage, storedKey({ id: 'key_1', expiresAt: 9 }), storedKey({ id: 'key_2' }))
    await storage.run(({ keys }) => keys.update('key_1', { name: 'new', expiresAt: null, userId: 'bob' }))
    await storage.run(({ keys }) => keys.used([{ id: 'key_1', at: 200 }]))
    await storage.run(({ keys }) => keys.used([{ id: 'key_1', at: 100 }]))
    const after = await storage.read(({ keys }) => keys.list('t1', {}, { limit: 10, after: null }))
    const changed = storedKey({ id: 'key_1', name: 'new', userId: 'bob', lastUsedAt: 200 })
    assert.deepEqual(after, [storedKey({ id: 'key_2' }), changed])
  }),
]

export function storedKey(fields: Partial<StoredKey>): StoredKey {
  return {
    ...{ id: 'key_0', tenantId: 't1', name: 'CI', start: 'ak_abcd', scopes: ['keys:read'], userId: 'ann' },
    ...{ allowedIps: null, rateLimit: null, expiresAt: null, lastUsedAt: null, revokedAt: null },
    createdAt: 1_767_225_600_123,
    ...fields,
  }
}

async function addKeys(storage: RbacStorage, ...rows: StoredKey[]): Promise<void> {
  await storage.run(async ({ keys }) => {
    for (const row of rows) await keys.insert(row)
  })
}
