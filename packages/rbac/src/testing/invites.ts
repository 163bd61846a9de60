import assert from 'node:assert/strict'
import { type ContractCase, contractCase } from '@org/core/testing'
import type { StoredInvite } from '../invites/schema.js'
import type { InviteFilter } from '../invites/store.js'
import type { RbacStorage } from '../storage/port.js'

const now = 1_767_225_600_123
const hour = 3_600_000

export const inviteContract: readonly ContractCase<RbacStorage>[] = [
  contractCase('keeps every part of an invite', async ({ storage }) => {
    const mail = invite({ id: 'inv_1', sentAt: now, sendError: 'ETIMEDOUT', email: 'Ünal@Münch.example' })
    const link = invite({
      ...{ id: 'inv_2', kind: 'link', email: null, address: null, domains: ['acme.com', 'xn--mnch-0ra.example'] },
      ...{ maxUses: null, uses: 12, roles: [{ id: 'rol_1', key: 'support' }], invitedBy: { type: 'key', id: 'key_1' } },
    })
    await add(storage, mail, link)
    assert.deepEqual(await find(storage, 'inv_1'), mail)
    assert.deepEqual(await find(storage, 'inv_2'), link)
    assert.deepEqual(await storage.run(({ invites }) => invites.find('t1', 'inv_2', { lock: true })), link)
  }),

  contractCase('finds an invite by its tenant and id, or by the hash of its token', async ({ storage }) => {
    const one = invite({ id: 'inv_1' })
    const other = invite({ id: 'inv_2', tenantId: 'T1' })
    await add(storage, one, other)
    assert.equal(await storage.read(({ invites }) => invites.find('t2', 'inv_1')), null)
    assert.equal(await storage.read(({ invites }) => invites.find('T1', 'inv_1')), null)
    assert.deepEqual(await storage.read(({ invites }) => invites.findByHash('hash of inv_2')), other)
    assert.equal(await storage.read(({ invites }) => invites.findByHash('HASH OF inv_2')), null)
    await assert.rejects(add(storage, invite({ id: 'inv_3', tokenHash: 'hash of inv_1' })))
  }),

  contractCase(
    'changes one invite of its tenant, and only while its token is the one that was sent',
    async ({ storage }) => {
      await add(storage, invite({ id: 'inv_1' }), invite({ id: 'inv_2' }))
      await storage.run(async ({ invites }) => {
        await invites.update('t2', 'inv_1', { state: 'revoked' })
        await invites.update('t1', 'inv_1', {
          ...{ tokenHash: 'new', uses: 3, state: 'accepted', expiresAt: now + 9 },
          invitedBy: { type: 'user', id: 'bob' },
        })
        await invites.setSent('inv_1', 'hash of inv_1', { sentAt: 1, sendError: null })
        await invites.setSent('inv_2', 'hash of inv_2', { sentAt: null, sendError: 'send_failed' })
      })
      const changed = { tokenHash: 'new', uses: 3, state: 'accepted' as const, expiresAt: now + 9 }
      assert.deepEqual(
        await find(storage, 'inv_1'),
        invite({ id: 'inv_1', ...changed, invitedBy: { type: 'user', id: 'bob' } }),
      )
      assert.deepEqual(await find(storage, 'inv_2'), invite({ id: 'inv_2', sendError: 'send_failed' }))
    },
  ),

  contractCase('finds the pending invite to an address, and the pending ones of a role', async ({ storage }) => {
    const admin = [{ id: 'admin', key: 'admin' }]
    const both = [...admin, { id: 'rol_1', key: 'support' }]
    await add(
      storage,
      invite({ id: 'inv_1', expiresAt: now }),
      invite({ id: 'inv_2', state: 'revoked' }),
      invite({ id: 'inv_3', state: 'accepted', roles: admin }),
      invite({ id: 'inv_4', tenantId: 't2', roles: admin }),
      invite({ id: 'inv_5', address: 'ANN@acme.com', roles: admin }),
      invite({ id: 'inv_6', address: null, kind: 'link', roles: both }),
    )
    const pendingTo = () => storage.run(({ invites }) => invites.pendingTo('t1', 'ann@acme.com', now))
    assert.equal(await pendingTo(), null)
    await add(storage, invite({ id: 'inv_7' }))
    assert.equal((await pendingTo())?.id, 'inv_7')
    const withRoles = (...ids: string[]) =>
      storage.run(async ({ invites }) => (await invites.pendingWithRoles('t1', ids, now)).map(({ id }) => id))
    assert.deepEqual(await withRoles('admin'), ['inv_5', 'inv_6'])
    assert.deepEqual(await withRoles('rol_1', 'gone'), ['inv_6'])
    assert.deepEqual(await withRoles('support'), [])
    assert.deepEqual(await withRoles(), [])
  }),

  contractCase('lists invites by status and kind, the newest first, slice by slice', async ({ storage }) => {
    await add(
      storage,
      invite({ id: 'inv_1' }),
      invite({ id: 'inv_2', kind: 'link' }),
      invite({ id: 'inv_3', expiresAt: now }),
      invite({ id: 'inv_4', expiresAt: now, state: 'accepted' }),
      invite({ id: 'inv_5', state: 'revoked' }),
      invite({ id: 'inv_6', tenantId: 't2' }),
    )
    const list = (filter: Omit<InviteFilter, 'now'>, after: [string] | null = null, limit = 10) =>
      storage.read(async ({ invites }) =>
        (await invites.list('t1', { ...filter, now }, { limit, after })).map(({ id }) => id),
      )
    assert.deepEqual(await list({}), ['inv_5', 'inv_4', 'inv_3', 'inv_2', 'inv_1'])
    assert.deepEqual(await list({ status: 'pending' }), ['inv_2', 'inv_1'])
    assert.deepEqual(await list({ status: 'pending', kind: 'email' }), ['inv_1'])
    assert.deepEqual(await list({ status: 'expired' }), ['inv_3'])
    assert.deepEqual(await list({ status: 'accepted' }), ['inv_4'])
    assert.deepEqual(await list({ status: 'revoked' }), ['inv_5'])
    assert.deepEqual(await list({}, ['inv_4'], 2), ['inv_3', 'inv_2'])
  }),
]

function invite(fields: Partial<StoredInvite> & { id: string }): StoredInvite {
  return {
    ...{ tenantId: 't1', kind: 'email', state: 'open', email: 'Ann@acme.com', address: 'ann@acme.com' },
    ...{ domains: [], maxUses: 1, uses: 0, roles: [{ id: 'owner', key: 'owner' }] },
    ...{ invitedBy: { type: 'system', id: 'system' }, tokenHash: `hash of ${fields.id}` },
    ...{ sentAt: null, sendError: null, expiresAt: now + hour, createdAt: now },
    ...fields,
  }
}

function add(storage: RbacStorage, ...rows: StoredInvite[]): Promise<void> {
  return storage.run(async ({ invites }) => {
    for (const row of rows) await invites.insert(row)
  })
}

function find(storage: RbacStorage, id: string): Promise<StoredInvite | null> {
  return storage.read(({ invites }) => invites.find('t1', id))
}
