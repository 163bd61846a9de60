import assert from 'node:assert/strict'
import { type ContractCase, contractCase } from '@org/core/testing'
import { genesis, linksAfter } from '../audit/chain.js'
import type { AuditCheckpoint } from '../audit/checkpoint.js'
import type { RbacStorage } from '../storage/port.js'
import { addEntries, entry } from './audit.js'

const head = {
  ...{ tenantId: 't1', seq: 0, hash: genesis, checkpointSeq: 0, checkpointHash: null, checkpointTime: 5 },
  ...{ streamedSeq: 0, prunedSeq: 0 },
}

export const auditChainContract: readonly ContractCase<RbacStorage>[] = [
  contractCase('makes the head of a chain once, and moves it', async ({ storage }) => {
    assert.equal(await storage.read(({ auditChain }) => auditChain.head('t1')), null)
    assert.deepEqual(await storage.run(({ auditChain }) => auditChain.lockHead('t1', 5)), head)
    await storage.run(async ({ auditChain }) => {
      await auditChain.lockHead('t1', 6)
      await auditChain.moveHead('t1', { seq: 3, hash: 'abc', streamedSeq: 2 })
    })
    const moved = { ...head, seq: 3, hash: 'abc', streamedSeq: 2 }
    assert.deepEqual(await storage.read(({ auditChain }) => auditChain.head('t1')), moved)
    assert.deepEqual(await storage.run(({ auditChain }) => auditChain.lockHead('t1', 7)), moved)
  }),

  contractCase('finds the heads that somebody has to look after', async ({ storage }) => {
    await storage.run(async ({ auditChain }) => {
      for (const tenantId of ['t1', 't2', 't3']) await auditChain.lockHead(tenantId, 100)
      await auditChain.moveHead('t1', { seq: 10, streamedSeq: 10 })
      await auditChain.moveHead('t2', { seq: 3, streamedSeq: 2, checkpointTime: 50 })
    })
    const due = async (what: object, after: string | null = null, limit = 10) => {
      const heads = await storage.read(({ auditChain }) => auditChain.headsDue(what, after, limit))
      return heads.map(({ tenantId }) => tenantId)
    }
    assert.deepEqual(await due({ checkpoint: { entries: 10, before: 0 } }), ['t1'])
    assert.deepEqual(await due({ checkpoint: { entries: 11, before: 50 } }), ['t2'])
    assert.deepEqual(await due({ checkpoint: { entries: 10, before: 99 } }), ['t1', 't2'])
    assert.deepEqual(await due({ checkpoint: { entries: 10, before: 99 } }, 't1'), ['t2'])
    assert.deepEqual(await due({ checkpoint: { entries: 1, before: 100 } }, null, 1), ['t1'])
    assert.deepEqual(await due({ stream: true }), ['t2'])
  }),

  contractCase('gives waiting entries their places, each once', async ({ storage }) => {
    await addEntries(
      storage,
      entry({ id: 'aud_2', time: 1 }),
      entry({ id: 'aud_1', time: 2 }),
      entry({ id: 'aud_3', time: 2, tenantId: 't2' }),
    )
    const next = (after: string | null) => storage.read(({ auditChain }) => auditChain.nextUnsealedTenant(after))
    assert.deepEqual([await next(null), await next('t1'), await next('t2')], ['t1', 't2', null])
    const waiting = await storage.read(({ auditChain }) => auditChain.unsealed('t1', 10))
    assert.deepEqual(
      waiting.map(({ id, time }) => [id, time]),
      [
        ['aud_2', 1],
        ['aud_1', 2],
      ],
    )
    const links = linksAfter({ seq: 0, hash: genesis }, waiting)
    await storage.run(({ auditChain }) => auditChain.seal('t1', links))
    assert.equal(await next(null), 't2')
    const sealed = await storage.read(({ auditChain }) => auditChain.sealed('t1', 0, 10))
    assert.deepEqual(
      sealed.map(({ id, time, seq, prevHash, hash }) => ({ id, time, seq, prevHash, hash })),
      links.map(({ at: _, ...place }) => place),
    )
    const second = await storage.read(({ auditChain }) => auditChain.sealed('t1', 1, 10))
    assert.deepEqual(
      second.map(({ id }) => id),
      ['aud_1'],
    )
    const hashes = await storage.read(({ auditChain }) => auditChain.hashes('t1', 1, 10))
    assert.deepEqual(hashes, [{ seq: 2, hash: links[1]?.hash }])
    // Neither again, nor another tenant's.
    await assert.rejects(storage.run(({ auditChain }) => auditChain.seal('t1', links)))
    const others = await storage.read(({ auditChain }) => auditChain.unsealed('t2', 10))
    const foreign = linksAfter({ seq: 2, hash: genesis }, others)
    await assert.rejects(storage.run(({ auditChain }) => auditChain.seal('t1', foreign)))
    const [left] = await storage.read(({ auditChain }) => auditChain.unsealedRecords('t2', { limit: 5, after: null }))
    assert.equal(left?.id, 'aud_3')
    const none = await storage.read(({ auditChain }) =>
      auditChain.unsealedRecords('t2', { limit: 5, after: [2, 'aud_3'] }),
    )
    assert.deepEqual(none, [])
  }),

  contractCase('reads the targets of an entry among many others of its time', async ({ storage }) => {
    const ids = (count: number) => Array.from({ length: count }, (_, i) => ({ type: 'key', id: `key_${i}` }))
    await addEntries(storage, entry({ id: 'aud_1', time: 6 }), entry({ id: 'aud_2', time: 8, targets: ids(3) }))
    await storage.run(async ({ auditChain }) => {
      await auditChain.seal('t1', linksAfter({ seq: 0, hash: genesis }, await auditChain.unsealed('t1', 10)))
    })
    await addEntries(storage, entry({ id: 'aud_3', time: 7, targets: ids(40) }))
    await storage.read(async ({ auditChain }) => {
      const targets = await auditChain.targets('t1', await auditChain.sealed('t1', 0, 9))
      assert.deepEqual(targets, [
        { entryId: 'aud_2', type: 'key', id: 'key_1' },
        { entryId: 'aud_2', type: 'key', id: 'key_2' },
      ])
    })
  }),

  contractCase('reads what verifying needs, and removes what retention says', async ({ storage }) => {
    const many = entry({ id: 'aud_1', time: 7, targets: ['a', 'b', 'c'].map((id) => ({ type: 'key', id })) })
    await addEntries(storage, many, entry({ id: 'aud_2', time: 6 }), entry({ id: 'aud_3', time: 8 }))
    await storage.run(async ({ auditChain }) => {
      await auditChain.seal('t1', linksAfter({ seq: 0, hash: genesis }, await auditChain.unsealed('t1', 10)))
    })
    await storage.read(async ({ auditChain }) => {
      const targets = [
        { entryId: 'aud_1', type: 'key', id: 'b' },
        { entryId: 'aud_1', type: 'key', id: 'c' },
      ]
      const sealed = await auditChain.sealed('t1', 0, 3)
      assert.deepEqual(await auditChain.targets('t1', sealed), targets)
      assert.deepEqual(await auditChain.targets('t1', sealed.slice(2)), [])
      const texts = await auditChain.canonical('t1', [
        [7, 'aud_1'],
        [7, 'aud_9'],
      ])
      assert.deepEqual([...texts], [['aud_1', many.canonical]])
      assert.equal(await auditChain.newestTime('t1', 0, 2), 7)
      assert.equal(await auditChain.newestTime('t1', 3, 9), null)
    })
    assert.equal(await storage.run(({ auditChain }) => auditChain.removeThrough('t1', 2)), 2)
    await storage.read(async ({ audit, auditChain }) => {
      const left = await auditChain.sealed('t1', 0, 10)
      assert.deepEqual(
        left.map(({ id }) => id),
        ['aud_3'],
      )
      assert.deepEqual(await audit.list('t1', { resourceId: 'b' }, { limit: 10, after: null }), [])
    })
  }),

  contractCase('keeps checkpoints, and knows which are anchored', async ({ storage }) => {
    const made = [
      checkpoint({ toSeq: 2 }),
      checkpoint({ fromSeq: 3, toSeq: 5, previousHash: 'h', signature: 's', keyId: 'k' }),
    ]
    await storage.run(async ({ auditChain }) => {
      for (const one of [...made, checkpoint({ tenantId: 't2', toSeq: 1 })]) await auditChain.addCheckpoint(one)
    })
    await assert.rejects(storage.run(({ auditChain }) => auditChain.addCheckpoint(checkpoint({ toSeq: 2 }))))
    await storage.run(({ auditChain }) => auditChain.markAnchored('t1', 2))
    await storage.read(async ({ auditChain }) => {
      assert.deepEqual(await auditChain.checkpoints('t1', 0, 10), made)
      assert.deepEqual(await auditChain.checkpoints('t1', 2, 10), [made[1]])
      assert.deepEqual(await auditChain.checkpoints('t1', 0, 1), [made[0]])
      assert.deepEqual([await auditChain.isAnchored('t1', 2), await auditChain.isAnchored('t1', 5)], [true, false])
      const waiting = await auditChain.unanchored(10)
      assert.deepEqual(
        waiting.map(({ tenantId, toSeq }) => [tenantId, toSeq]),
        [
          ['t1', 5],
          ['t2', 1],
        ],
      )
    })
  }),
]

function checkpoint(fields: Partial<AuditCheckpoint>): AuditCheckpoint {
  return {
    ...{ tenantId: 't1', fromSeq: 1, toSeq: 2, count: 2, root: 'r', headHash: 'hh', previousHash: null, time: 9 },
    ...{ hash: 'h', keyId: null, signature: null },
    ...fields,
  }
}
