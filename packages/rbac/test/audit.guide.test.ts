import { generateKeyPairSync } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { testDatabases } from '@org/core/testing'
import type { AuditCheckpoint } from '@org/rbac'
import { knexStorage, migrate } from '@org/rbac/knex'
import { expect, it } from 'vitest'
import * as samples from './samples/audit.js'

it('the guide to the audit log does what it says', async () => {
  const sqlite = (await testDatabases()).find(({ name }) => name === 'sqlite')
  if (!sqlite) throw new Error('SQLite is always there')
  const { knex, close } = await sqlite.open()
  await migrate(knex)
  await knex.schema.createTable('keys', (table) => {
    for (const name of ['id', 'tenant_id']) table.text(name)
  })
  const { privateKey } = generateKeyPairSync('ed25519')
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  const vault = new Map<string, AuditCheckpoint[]>()
  const { rbac, sealer } = samples.anchoredLog(knexStorage(knex), pem, vault)
  await sealer.stop()

  await samples.severalTargets(knex, rbac)
  await rbac.audit.log({ tenantId: 'acme', actor: { type: 'user', id: 'eve' }, action: 'a', outcome: 'denied' })
  expect(await samples.filtered(rbac)).toEqual([1, 1, 1])
  await rbac.assignments.assign({ tenantId: 'acme' }, { userId: 'olga', role: 'owner' })
  expect(await samples.feed(rbac)).toContain('olga moved the key key_1')
  await rbac.audit.seal()
  expect(await samples.proof(rbac, vault)).toEqual({ ok: true, unsealed: 0, said: [] })

  const folder = await mkdtemp(join(tmpdir(), 'org-test-'))
  await samples.download(rbac, join(folder, 'keys.jsonl'))
  expect((await readFile(join(folder, 'keys.jsonl'), 'utf8')).trimEnd().split('\n')).toHaveLength(1)
  await rm(folder, { recursive: true })

  expect(await samples.keepAndForget(rbac)).toEqual({
    pruned: { entries: 0, segments: 0 },
    erased: { who: 1, what: 0 },
  })
  expect((await samples.proof(rbac, vault)).ok).toBe(true)
  await knex('rbac_audit_entries').where({ seq: 1 }).update({ outcome: 'failure' })
  expect((await samples.proof(rbac, vault)).said).toEqual(['1: edited. What was changed: outcome.'])
  await close()
})
