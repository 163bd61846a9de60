import { generateKeyPairSync } from 'node:crypto'
import { createRuntime } from '@org/core'
import { fakeClock, type OpenTarget, recordingLogger } from '@org/core/testing'
import {
  type AuditCheckpoint,
  type AuditEntry,
  createRbac,
  type Rbac,
  type RbacOptions,
  type RbacStorage,
} from '@org/rbac'
import canonicalize from 'canonicalize'
import fc from 'fast-check'
import type { Knex } from 'knex'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { canonicalText, canonicalTextFast, recordOf } from '../src/audit/canonical.js'
import { MerkleTree } from '../src/audit/merkle.js'
import { entryOf } from '../src/audit/record.js'
import { storages } from './storages.js'

const tenantId = 'acme'
const scope = { tenantId }

for (const { name, missing, open } of await storages()) {
  describe.skipIf(missing)(`the chain of the audit log on ${name}`, () => {
    let opened: OpenTarget<RbacStorage>
    let logger: ReturnType<typeof recordingLogger>
    const clock = fakeClock()

    beforeEach(async () => {
      logger = recordingLogger()
      opened = await open()
    })
    afterEach(() => opened.close())

    const hosted = (audit: RbacOptions<never>['audit'] = {}, storage = opened.storage): Rbac =>
      createRbac({ storage, clock, logger, audit }) as unknown as Rbac
    const write = async (rbac: Rbac, count: number, tenant = tenantId) => {
      for (let i = 0; i < count; i++) {
        clock.advance(1)
        await rbac.audit.log({ tenantId: tenant, action: `a.${i}`, resource: { type: 'key', id: `k${i}` } })
      }
    }
    /** Behind our back: memory has none, so that what is about the database's own rows runs on databases. */
    const tamper = async (work: (knex: Knex) => Promise<unknown>) =>
      opened.transaction(async (tx) => void (await work(tx as Knex)))
    const kinds = async (rbac: Rbac, checkpoints: AuditCheckpoint[] = []) => {
      const { ok, findings } = await rbac.audit.verify(scope, { checkpoints })
      expect(ok).toBe(findings.length === 0)
      return findings.map(({ kind, seq }) => `${kind} ${seq}`)
    }

    it('seals what waits, tenant by tenant, and finds nothing wrong with it', async () => {
      const rbac = hosted()
      await write(rbac, 5)
      await write(rbac, 2, 'globex')
      expect(await rbac.audit.verify(scope)).toEqual({
        ...{ ok: true, entries: 5, sealed: 0, unsealed: 5, erased: 0, pruned: 0, findings: [], omitted: 0 },
      })
      expect(await rbac.audit.seal()).toEqual({ sealed: 7, checkpoints: 0, anchored: 0, streamed: 0 })
      expect(await rbac.audit.seal()).toMatchObject({ sealed: 0 })
      await write(rbac, 3)
      expect(await rbac.audit.verify(scope)).toMatchObject({ ok: true, entries: 8, sealed: 5, unsealed: 3 })
      expect(await rbac.audit.seal({ tenantId: 'globex' })).toMatchObject({ sealed: 0 })
      expect(await rbac.audit.seal({ tenantId })).toMatchObject({ sealed: 3 })
      const progress: number[] = []
      const onProgress = ({ entries }: { entries: number }) => void progress.push(entries)
      expect(await rbac.audit.verify(scope, { onProgress, roots: true })).toMatchObject({ ok: true, sealed: 8 })
      expect(progress.at(-1)).toBe(8)
    })

    it('defect 12: writers and several sealers at once make one chain', async () => {
      const rbac = hosted({ checkpoints: { everyEntries: 7 } })
      const others = [opened.second(), opened.second()].map((storage) =>
        hosted({ checkpoints: { everyEntries: 7 } }, storage),
      )
      let writing = true
      const sealing = [rbac, ...others].map(async ({ audit }) => {
        while (writing) {
          await audit.seal()
          // SQLite answers at once, and would let nobody else have a turn.
          await new Promise(setImmediate)
        }
      })
      await Promise.all([write(rbac, 25), ...others.map((other) => write(other, 25))])
      writing = false
      await Promise.all(sealing)
      await Promise.all([rbac, ...others].map(({ audit }) => audit.seal()))
      const verified = await rbac.audit.verify(scope, { roots: true })
      expect(verified).toMatchObject({ ok: true, sealed: 75, unsealed: 0 })
    })

    it('defect 12: writers that seal in their own transactions make one chain, and leave nothing unsealed', async () => {
      const rbac = hosted({ inline: true })
      const other = hosted({ inline: true }, opened.second())
      await Promise.all([write(rbac, 15), write(other, 15)])
      const undone = opened.transaction(async (tx) => {
        await rbac.audit.log({ tenantId, action: 'undone' }, { tx })
        await rbac.audit.log({ tenantId, action: 'undone too' }, { tx })
        throw new Error('undo')
      })
      await expect(undone).rejects.toThrow('undo')
      await write(rbac, 1)
      expect(await rbac.audit.verify(scope)).toMatchObject({ ok: true, sealed: 31, unsealed: 0 })
      expect(await rbac.audit.seal()).toMatchObject({ sealed: 0 })
      // An event that comes twice takes one place.
      const event = { id: 'evt_1', type: 'a', tenantId, actor: { type: 'user' as const, id: 'ann' }, time: 1, data: {} }
      for (let i = 0; i < 2; i++) await opened.transaction((tx) => rbac.audit.sink(event, tx))
      expect(await rbac.audit.verify(scope)).toMatchObject({ ok: true, sealed: 32 })
    })

    it('makes checkpoints by number and by time, and hands them out until they are taken', async () => {
      const anchored: AuditCheckpoint[] = []
      let broken = true
      const anchor = async (checkpoint: AuditCheckpoint) => {
        if (broken) throw new Error('the notary is closed')
        anchored.push(checkpoint)
      }
      const rbac = hosted({ checkpoints: { everyEntries: 4, everyMs: 1000 }, anchor })
      await write(rbac, 10)
      expect(await rbac.audit.seal()).toMatchObject({ sealed: 10, checkpoints: 2, anchored: 0 })
      expect(logger.entries.map(({ message }) => message)).toEqual([
        'A checkpoint of the audit log could not be anchored; it will be tried again',
      ])
      broken = false
      clock.advance(1000)
      expect(await rbac.audit.seal()).toMatchObject({ checkpoints: 1, anchored: 3 })
      expect(await rbac.audit.seal()).toMatchObject({ checkpoints: 0, anchored: 0 })
      expect(anchored.map(({ fromSeq, toSeq, count }) => [fromSeq, toSeq, count])).toEqual([
        [1, 4, 4],
        [5, 8, 4],
        [9, 10, 2],
      ])
      expect(anchored.map(({ previousHash }) => previousHash)).toEqual([null, anchored[0]?.hash, anchored[1]?.hash])
      expect(await kinds(rbac, anchored)).toEqual([])
    })

    it('signs checkpoints with either kind of key, and knows those of older ones', async () => {
      const pair = generateKeyPairSync('ed25519')
      const pem = pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
      const anchored: AuditCheckpoint[] = []
      const anchor = async (checkpoint: AuditCheckpoint) => void anchored.push(checkpoint)
      const checkpoints = { everyEntries: 2 }
      const first = hosted({ checkpoints, anchor, signingKey: { ed25519: pem } })
      await write(first, 2)
      await first.audit.seal()
      const hmac = 'a secret of thirty-two bytes, no less'
      const second = hosted({ checkpoints, anchor, signingKey: { hmac }, olderKeys: [{ ed25519: pair.publicKey }] })
      await write(second, 2)
      await second.audit.seal()
      expect(anchored.map(({ signature }) => typeof signature)).toEqual(['string', 'string'])
      expect(await kinds(second, anchored)).toEqual([])
      // Who does not have the older key cannot say that it is good.
      expect(await kinds(hosted({ signingKey: { hmac } }))).toEqual(['checkpoint_invalid 2'])
      const forged = anchored.map((one) => ({ ...one, headHash: '0'.repeat(64) }))
      expect(await kinds(second, forged)).toEqual(['checkpoint_invalid 2', 'checkpoint_invalid 4'])
      for (const signingKey of [{ hmac: 'short' }, { ed25519: 'no key' }, { ed25519: pair.publicKey }]) {
        expect(() => hosted({ signingKey })).toThrow()
      }
    })

    it('streams sealed entries in their order, again after a failure, and goes on where it was', async () => {
      const got: string[] = []
      let broken = false
      const stream = async (entries: readonly AuditEntry[]) => {
        if (broken) throw new Error('the SIEM is down')
        got.push(...entries.map(({ action }) => action))
      }
      const rbac = hosted({ stream })
      await write(rbac, 3)
      expect(await rbac.audit.seal()).toMatchObject({ sealed: 3, streamed: 3 })
      broken = true
      await write(rbac, 2)
      expect(await rbac.audit.seal()).toMatchObject({ sealed: 2, streamed: 0 })
      expect(logger.entries).toHaveLength(1)
      broken = false
      expect(await hosted({ stream }).audit.seal()).toMatchObject({ streamed: 2 })
      expect(got).toEqual(['a.0', 'a.1', 'a.2', 'a.0', 'a.1'])
    })

    it('seals by itself until it is told to stop', async () => {
      const rbac = hosted()
      await write(rbac, 2)
      const sealer = rbac.audit.startSealer({ everyMs: 1 })
      while ((await rbac.audit.verify(scope)).unsealed > 0) await new Promise(setImmediate)
      await sealer.stop()
      await write(rbac, 1)
      expect(await rbac.audit.verify(scope)).toMatchObject({ ok: true, sealed: 2, unsealed: 1 })
      for (const everyMs of [0, -1, 0.5, Number.NaN])
        expect(() => rbac.audit.startSealer({ everyMs })).toThrow('everyMs')
    })

    it('removes whole segments that are old and anchored, and stays valid', async () => {
      let isOpen = false
      const anchor = async () => {
        if (!isOpen) throw new Error('closed')
      }
      const rbac = hosted({ checkpoints: { everyEntries: 4, everyMs: 1e9 }, anchor })
      await write(rbac, 4)
      await rbac.audit.log({ tenantId, action: 'b', targets: ['x', 'y', 'z'].map((id) => ({ type: 'key', id })) })
      await write(rbac, 5)
      await rbac.audit.seal()
      const before = clock.now() + 1
      expect(await rbac.audit.prune(scope, { before })).toEqual({ entries: 0, segments: 0 })
      isOpen = true
      await rbac.audit.seal()
      expect(await rbac.audit.prune(scope, { olderThanMs: 3_600_000 })).toEqual({ entries: 0, segments: 0 })
      // The last two entries are in no checkpoint yet.
      expect(await rbac.audit.prune({ ...scope, actor: { type: 'user', id: 'olga' } }, { before })).toEqual({
        ...{ entries: 8, segments: 2 },
      })
      expect((await rbac.audit.query(scope, { resourceId: 'z' })).data).toEqual([])
      const { data } = await rbac.audit.query(scope)
      expect(data.map(({ action, actor }) => [action, actor.id])).toEqual([
        ['audit.pruned', 'olga'],
        ['audit.pruned', 'olga'],
        ['a.4', 'system'],
        ['a.3', 'system'],
      ])
      expect(await rbac.audit.verify(scope)).toMatchObject({ ok: true, sealed: 2, unsealed: 2, pruned: 8 })
      await write(rbac, 3)
      await rbac.audit.seal()
      expect(await rbac.audit.verify(scope, { roots: true })).toMatchObject({ ok: true, sealed: 7, pruned: 8 })
      expect(await rbac.audit.prune({ tenantId: 'globex' }, { before })).toEqual({ entries: 0, segments: 0 })
    })

    it('forgets a person and stays valid', async () => {
      const rbac = hosted({ checkpoints: { everyEntries: 3 } })
      const ann = { type: 'user' as const, id: 'ann' }
      const bob = { type: 'user' as const, id: 'bob' }
      await rbac.audit.log({
        ...scope,
        actor: ann,
        action: 'key.created',
        ip: '192.0.2.1',
        userAgent: 'x',
        data: { n: 1 },
      })
      await rbac.audit.log({ ...scope, actor: bob, action: 'member.added', targets: [{ type: 'key', id: 'k' }, ann] })
      await rbac.audit.log({ ...scope, actor: bob, action: 'invite.sent', data: { email: 'ann@a.example' } })
      await rbac.audit.seal()
      await rbac.audit.log({ ...scope, actor: bob, action: 'role', data: { userId: 'ann' }, before: { userId: 'ann' } })
      await rbac.audit.log({ ...scope, actor: bob, action: 'kept', data: { text: 'ann' } })
      await rbac.audit.log({ tenantId: 'globex', actor: ann, action: 'kept' })
      const erase = { userId: 'ann', emails: ['ann@a.example'] }
      expect(await rbac.audit.erase({ ...scope, actor: ann, ip: '192.0.2.1' }, erase)).toEqual({ who: 1, what: 3 })
      const { data } = await rbac.audit.query(scope)
      expect(JSON.stringify(data.filter(({ action }) => action !== 'kept'))).not.toMatch(/ann|192\.0\.2/)
      const actions = new Map(data.map((entry) => [entry.action, entry]))
      expect(actions.get('key.created')).toMatchObject({
        ...{ actor: { type: 'user', id: '[erased]' }, ip: null, userAgent: null, data: { n: 1 }, erased: ['who'] },
      })
      expect(actions.get('member.added')).toMatchObject({ actor: bob, targets: [], resource: null, erased: ['what'] })
      expect(actions.get('audit.erased')).toMatchObject({ data: { who: 1, what: 3 }, actor: { id: '[erased]' } })
      expect((await rbac.audit.query(scope, { user: 'ann' })).data).toEqual([])
      expect((await rbac.audit.query(scope, { resourceId: 'ann' })).data).toEqual([])
      expect((await rbac.audit.query(scope, { resourceId: 'k' })).data).toEqual([])
      await rbac.audit.seal()
      expect(await rbac.audit.verify(scope, { roots: true })).toMatchObject({ ok: true, sealed: 6, erased: 4 })
      expect((await rbac.audit.query({ tenantId: 'globex' }, { user: 'ann' })).data).toHaveLength(1)
      expect(await rbac.audit.erase(scope, erase)).toEqual({ who: 0, what: 0 })
      // Slice by slice, so that the changes of others go in between.
      for (let i = 0; i < 501; i++) await rbac.audit.log({ ...scope, actor: ann, action: 'x' })
      let transactions = 0
      const run: RbacStorage['run'] = (...given) => {
        transactions++
        return opened.storage.run(...given)
      }
      const counted = createRbac({ storage: { ...opened.storage, run }, clock, logger })
      expect(await counted.audit.erase(scope, erase)).toEqual({ who: 501, what: 0 })
      // Two slices, the entry that says so, and the joined one that writes it.
      expect(transactions).toBe(4)
      await expect(rbac.audit.erase(scope, { userId: '' })).rejects.toMatchObject({ code: 'invalid_input' })
    })

    describe.skipIf(name === 'memory')('tampered with', () => {
      const entries = 'rbac_audit_entries'
      const anchored: AuditCheckpoint[] = []
      let rbac: Rbac

      beforeEach(async () => {
        anchored.length = 0
        rbac = hosted({ checkpoints: { everyEntries: 4 }, anchor: async (one) => void anchored.push(one) })
        await write(rbac, 4)
        const targets = ['x', 'y', 'z'].map((id) => ({ type: 'key', id }))
        await rbac.audit.log({ tenantId, action: 'many', targets, ip: '192.0.2.1', before: { a: 1 } })
        await write(rbac, 5)
        await rbac.audit.seal()
      })

      const columns = {
        ...{
          id: 'aud_x',
          event_id: 'evt_x',
          time: 5,
          actor_type: 'user',
          actor_id: 'eve',
          action: 'b',
          outcome: 'failure',
        },
        ...{ resource_type: 'plan', resource_id: 'k9', ip: '198.51.100.1', user_agent: 'x', request_id: 'r' },
        ...{ what: '[[["key","x"]],{"forged":1},null,null]', who_salt: null, what_salt: null, content_hash: 'x' },
        ...{ prev_hash: 'x', hash: 'x', canonical: '{}' },
      }
      for (const [column, value] of Object.entries(columns)) {
        it(`finds another \`${column}\``, async () => {
          for (const seq of [2, 5]) {
            // An event stands in the log once.
            const changed = column === 'event_id' ? `${value}${seq}` : value
            await tamper((knex) =>
              knex(entries)
                .where({ seq })
                .update({ [column]: changed }),
            )
          }
          const found = await kinds(rbac)
          // Nobody reads the canonical text of an entry that has lost nothing; it is not shown.
          if (column === 'canonical') return expect(found).toEqual([])
          expect(found).toEqual(expect.arrayContaining(['edited 2', 'edited 5']))
        })
      }

      it('names what is no JSON any more, and an id that would pass for several', async () => {
        const [junk, several] = [2, 5].map((seq) => ({ seq }))
        await tamper(async (knex) => {
          const { what } = (await knex(entries)
            .where(junk ?? {})
            .first('what')) as { what: string }
          await knex(entries)
            .where(junk ?? {})
            .update({ what: `${what}junk` })
          await knex(entries)
            .where(several ?? {})
            .update({ resource_id: 'x"],["key","y' })
        })
        expect(await kinds(rbac)).toEqual(['edited 2', 'edited 5'])
        // Of several targets the JSON is parsed.
        await tamper(async (knex) => {
          const { what } = (await knex(entries).where({ seq: 5 }).first('what')) as { what: string }
          await knex(entries)
            .where({ seq: 5 })
            .update({ resource_id: 'x', what: `${what}junk` })
        })
        expect(await kinds(rbac)).toEqual(['edited 2', 'edited 5'])
      })

      if (name === 'sqlite') {
        it('is read alike by an SQLite without `concat_ws`', async () => {
          const { joinedInSqlite } = await import('../src/storage/knex/audit-read.js')
          expect(joinedInSqlite('3.43.2')).not.toContain('concat_ws')
          await tamper(async (knex) => {
            const texts = (version: string) =>
              knex(entries)
                .orderBy('seq')
                .select(knex.raw(`${joinedInSqlite(version)} as entry`))
            expect(await texts('3.43.2')).toEqual(await texts('3.44.0'))
          })
        })
      }

      it('accuses nobody whose personal parts go while it reads', async () => {
        const { storage } = opened
        let reads = 0
        const meanwhile: RbacStorage = {
          ...storage,
          owns: (tx) => storage.owns(tx),
          run: (work, tx, options) => storage.run(work, tx, options),
          async read(work, tx) {
            const found = await storage.read(work, tx)
            // Between the entries and their further targets.
            const isBatch = Array.isArray(found) && (found as { contentHash?: string }[])[0]?.contentHash !== undefined
            if (isBatch && reads++ === 0) await rbac.audit.erase(scope, { userId: 'x' })
            return found
          },
        }
        await rbac.audit.log({ tenantId, action: 'told', targets: ['x', 'y'].map((id) => ({ type: 'user', id })) })
        await rbac.audit.seal()
        expect(await kinds(hosted({}, meanwhile))).toEqual([])
        expect(reads).toBeGreaterThan(0)
        expect(await rbac.audit.verify(scope)).toMatchObject({ ok: true, erased: 1 })
      })

      // Elsewhere an erasure waits for the sealer, or is found by what is not its address.
      if (name === 'postgres') {
        it('seals though somebody is erased meanwhile', async () => {
          const { storage } = opened
          const other = createRbac({ storage: opened.second(), clock, logger }) as unknown as Rbac
          let erasures = 0
          const meanwhile: RbacStorage = {
            ...storage,
            owns: (tx) => storage.owns(tx),
            read: (work, tx) => storage.read(work, tx),
            run: (work, tx, options) =>
              storage.run(
                (stores, own) =>
                  work(
                    {
                      ...stores,
                      auditChain: {
                        ...stores.auditChain,
                        async unsealed(...asked) {
                          const found = await stores.auditChain.unsealed(...asked)
                          if (found.length > 0 && erasures++ === 0) await other.audit.erase(scope, { userId: 'ann' })
                          return found
                        },
                      },
                    },
                    own,
                  ),
                tx,
                options,
              ),
          }
          for (const id of ['ann', 'bob'])
            await rbac.audit.log({ ...scope, actor: { type: 'user', id }, action: 'went' })
          // The erasure is an entry as well.
          expect(await hosted({}, meanwhile).audit.seal({ tenantId })).toMatchObject({ sealed: 3 })
          expect(erasures).toBe(2)
          expect(await rbac.audit.verify(scope)).toMatchObject({ ok: true, unsealed: 0, erased: 1 })
        })
      }

      it('finds another tenant’s entries among ours, and targets that were moved', async () => {
        await tamper((knex) => knex('rbac_audit_targets').where({ id: 'z' }).update({ id: 'w' }))
        expect(await kinds(rbac)).toEqual(['edited 5'])
        await tamper((knex) => knex('rbac_audit_targets').where({ id: 'w' }).delete())
        expect(await kinds(rbac)).toEqual(['edited 5'])
        await tamper((knex) => knex('rbac_audit_targets').delete())
        expect(await kinds(rbac)).toEqual(['edited 5'])
        await tamper(async (knex) => {
          const { time, id: entry_id } = (await knex(entries).where({ seq: 3 }).first()) as Record<string, string>
          const row = { tenant_id: tenantId, time, entry_id, position: 1, type: 'key', id: 'extra' }
          await knex('rbac_audit_targets').insert(row)
        })
        expect(await kinds(rbac)).toEqual(['edited 3', 'edited 5'])
      })

      it('says what was changed, and where', async () => {
        await tamper((knex) => knex(entries).where({ seq: 2 }).update({ outcome: 'failure', actor_id: 'eve' }))
        const { findings } = await rbac.audit.verify(scope)
        const [entry] = (await rbac.audit.query(scope, { action: 'a.1', user: 'eve' })).data
        expect(findings).toEqual([
          {
            ...{ kind: 'edited', seq: 2, entryId: entry?.id },
            detail: 'What was changed: outcome, actor, ip or userAgent.',
          },
        ])
      })

      it('finds an entry that was edited before it was sealed', async () => {
        await write(rbac, 1)
        await tamper((knex) => knex(entries).whereNull('seq').update({ action: 'forged' }))
        expect(await kinds(rbac)).toEqual(['edited null'])
      })

      it('finds entries that were deleted, in between and at the end', async () => {
        await tamper((knex) => knex(entries).whereIn('seq', [2, 3]).delete())
        const { findings } = await rbac.audit.verify(scope)
        expect(findings[0]).toEqual({ kind: 'deleted', seq: 2, detail: 'Entries 2 to 3 are missing.' })
        expect(findings).toHaveLength(1)
        await tamper((knex) => knex(entries).where('seq', '>', 8).delete())
        expect(await kinds(rbac)).toEqual(['deleted 2', 'truncated 9'])
      })

      it('finds the beginning missing, also when the head says that it was pruned', async () => {
        await tamper((knex) => knex(entries).whereIn('seq', [1, 2]).delete())
        expect(await kinds(rbac)).toEqual(['deleted 1'])
        await tamper((knex) => knex('rbac_audit_heads').update({ pruned_seq: 2 }))
        expect(await kinds(rbac)).toContain('deleted 1')
      })

      it('finds entries that changed places', async () => {
        await tamper(async (knex) => {
          await knex(entries).where({ seq: 2 }).update({ seq: 99 })
          await knex(entries).where({ seq: 6 }).update({ seq: 2 })
          await knex(entries).where({ seq: 99 }).update({ seq: 6 })
        })
        const { findings } = await rbac.audit.verify(scope)
        expect(findings.map(({ kind, seq, detail }) => [kind, seq, detail])).toEqual([
          ['reordered', 2, 'It was sealed as entry 6.'],
          ['reordered', 6, 'It was sealed as entry 2.'],
        ])
      })

      it('finds a chain that was written anew, by its checkpoints', async () => {
        // Somebody who knows how the chain is made forges everything from entry 3 on, and the head as well.
        await rewriteFrom(3)
        const found = await kinds(rbac)
        expect(found).toContain('checkpoint_invalid 4')
        expect(found.some((finding) => finding.startsWith('edited'))).toBe(false)
      })

      it('finds a cut-off end with everything that told of it only by an anchored checkpoint', async () => {
        await tamper(async (knex) => {
          await knex(entries).where('seq', '>', 6).delete()
          await knex('rbac_audit_checkpoints').where('to_seq', '>', 4).delete()
          const last = (await knex(entries).where({ seq: 6 }).first()) as { hash: string }
          const checkpoint_hash = anchored[0]?.hash
          await knex('rbac_audit_heads').update({ seq: 6, hash: last.hash, checkpoint_seq: 4, checkpoint_hash })
        })
        expect(await kinds(rbac)).toEqual([])
        expect(await kinds(rbac, anchored)).toEqual(['truncated 7', 'checkpoint_invalid 8'])
      })

      it('finds forged checkpoints, heads and places behind the end', async () => {
        await tamper((knex) =>
          knex('rbac_audit_checkpoints')
            .where({ to_seq: 4 })
            .update({ root: '0'.repeat(64) }),
        )
        expect(await kinds(rbac)).toEqual(['checkpoint_invalid 4'])
        expect(await kinds(rbac, anchored)).toEqual(['checkpoint_invalid 4'])
        await tamper((knex) => knex('rbac_audit_checkpoints').where({ to_seq: 4 }).delete())
        expect(await kinds(rbac)).toEqual(['checkpoint_invalid 8'])
        await tamper((knex) => knex('rbac_audit_heads').update({ seq: 9 }))
        expect(await kinds(rbac)).toContain('forked 10')
        await tamper((knex) => knex('rbac_audit_heads').delete())
        expect(await kinds(rbac)).toContain('truncated 10')
      })

      it('does not let personal data go without its salt, nor the salt alone', async () => {
        await tamper((knex) => knex(entries).where({ seq: 5 }).update({ ip: null, actor_id: '[erased]' }))
        expect(await kinds(rbac)).toEqual(['edited 5'])
        await tamper((knex) => knex(entries).where({ seq: 5 }).update({ who_salt: null }))
        expect(await kinds(rbac)).toEqual([])
        await tamper((knex) => knex(entries).where({ seq: 5 }).update({ what_salt: null }))
        expect(await kinds(rbac)).toEqual(['edited 5'])
      })

      async function rewriteFrom(seq: number) {
        const { linksAfter } = await import('../src/audit/chain.js')
        const { auditTable } = await import('../src/storage/knex/audit.js')
        await tamper(async (knex) => {
          const table = auditTable(knex, 'rbac_')
          const rows = await table.all((query) => query.where('seq', '>=', seq).orderBy('seq'))
          const before = await table.find({ tenantId, seq: seq - 1 })
          const forged = rows.map((row, i) =>
            i > 0 ? row : recordOf({ ...entryOf(row), action: 'forged' }, createRuntime().random),
          )
          const links = linksAfter({ seq: seq - 1, hash: before?.hash ?? '' }, forged)
          for (const [i, link] of links.entries()) {
            const { seq: at, ...own } = link
            await table.update({ tenantId, seq: at }, { ...forged[i], ...own, seq: at })
          }
          const last = links.at(-1)
          await knex('rbac_audit_heads').update({ hash: last?.hash })
        })
      }
    })
  })
}

describe('the canonical text', () => {
  it('is what RFC 8785 says, also when it is made the fast way', () => {
    const text = fc.string({ unit: 'grapheme' })
    const hash = fc.stringMatching(/^[0-9a-f]{64}$/)
    const fields = fc.record({
      ...{ id: text, eventId: fc.option(text), tenantId: text, time: fc.integer({ min: 0, max: 253_402_300_799_999 }) },
      ...{ actorType: fc.constantFrom('user', 'key', 'system'), action: text, requestId: fc.option(text) },
      outcome: fc.constantFrom('success', 'denied', 'failure'),
    }) as fc.Arbitrary<Parameters<typeof canonicalText>[0]>
    fc.assert(
      fc.property(fields, hash, hash, (entry, who, what) => {
        expect(canonicalTextFast(entry, who, what)).toBe(canonicalText(entry, who, what))
        expect(canonicalText(entry, who, what)).toBe(canonicalize({ ...entry, v: 1, who, what }))
      }),
    )
  })
})

describe('the Merkle root', () => {
  // RFC 6962's own test vectors: the leaves of certificate-transparency's reference tree.
  const leaves = ['', '00', '10', '2021', '3031', '40414243', '5051525354555657', '606162636465666768696a6b6c6d6e6f']
  const roots = [
    '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
    'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
    'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
    'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
    '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
    '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
    'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
    '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
  ]

  it('is that of RFC 6962', () => {
    const tree = new MerkleTree()
    expect(tree.root()).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855')
    for (const [i, leaf] of leaves.entries()) {
      tree.add(leaf)
      expect(tree.root()).toBe(roots[i])
    }
  })
})
