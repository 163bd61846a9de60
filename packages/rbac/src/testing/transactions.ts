import assert from 'node:assert/strict'
import type { Tx } from '@org/core'
import { type ContractCase, contractCase } from '@org/core/testing'
import type { RbacStorage } from '../storage/port.js'
import { assignment, ofUser } from './assignments.js'
import { entries, entry } from './audit.js'

export const transactionContract: readonly ContractCase<RbacStorage>[] = [
  contractCase('keeps all of a transaction or none of it', async ({ storage, transaction }) => {
    const write = (tx?: Tx) =>
      storage.run(async ({ tenants, assignments, audit }) => {
        await tenants.touch('t1')
        await assignments.insertOrFind(assignment({ id: 'asg_1' }))
        await audit.insertOrFind(entry({ id: 'aud_1' }), [])
        if (!tx) throw new Error('undo')
      }, tx)
    const isEmpty = async () => {
      assert.deepEqual(await ofUser(storage, 't1', 'ann'), [])
      assert.deepEqual(await entries(storage, {}), [])
    }
    await assert.rejects(write(), /undo/)
    await isEmpty()
    const undone = transaction(async (tx) => {
      await write(tx)
      assert.equal(storage.owns(tx), true)
      assert.equal((await ofUser(storage, 't1', 'ann', tx)).length, 1)
      throw new Error('undo')
    })
    await assert.rejects(undone, /undo/)
    await isEmpty()
    await transaction((tx) => write(tx))
    assert.equal((await ofUser(storage, 't1', 'ann')).length, 1)
    assert.equal((await entries(storage, {})).length, 1)
  }),
]
