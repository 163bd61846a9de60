/** What the guide to the audit log shows, each run by a test. */
import { createWriteStream } from 'node:fs'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { type AuditCheckpoint, createRbac, type Rbac, type RbacStorage } from '@org/rbac'
import type { Knex } from 'knex'

export async function severalTargets(knex: Knex, rbac: Rbac) {
  await knex.transaction(async (tx) => {
    await tx('keys').where({ id: 'key_1' }).update({ tenant_id: 'globex' })
    await rbac.audit.log(
      {
        tenantId: 'acme',
        actor: { type: 'user', id: 'olga' },
        action: 'key.moved',
        targets: [
          { type: 'key', id: 'key_1' },
          { type: 'tenant', id: 'globex' },
        ],
        before: { tenantId: 'acme' },
        after: { tenantId: 'globex' },
      },
      { tx },
    )
  })
}

export async function filtered(rbac: Rbac) {
  const moved = await rbac.audit.query({ tenantId: 'acme' }, { action: 'key.*', resourceId: 'globex' })
  const denied = await rbac.audit.query({ tenantId: 'acme' }, { outcome: 'denied', user: 'eve' })
  const about = await rbac.audit.query({ tenantId: 'acme' }, { text: 'globex', from: Date.UTC(2026, 0, 1) })
  return [moved, denied, about].map(({ data }) => data.length)
}

export function anchoredLog(storage: RbacStorage, privateKeyPem: string, vault: Map<string, AuditCheckpoint[]>) {
  const rbac = createRbac({
    storage,
    audit: {
      signingKey: { ed25519: privateKeyPem },
      checkpoints: { everyEntries: 1000, everyMs: 60 * 60 * 1000 },
      // To where whoever can write your database cannot: another account's bucket, a ticket, a mailbox.
      anchor: async (checkpoint) => {
        vault.set(checkpoint.tenantId, [...(vault.get(checkpoint.tenantId) ?? []), checkpoint])
      },
    },
  })
  const sealer = rbac.audit.startSealer({ everyMs: 1000 })
  return { rbac, sealer }
}

export async function proof(rbac: Rbac, vault: Map<string, AuditCheckpoint[]>) {
  const { ok, findings, unsealed } = await rbac.audit.verify(
    { tenantId: 'acme' },
    { checkpoints: vault.get('acme') ?? [] },
  )
  return { ok, unsealed, said: findings.map(({ kind, seq, detail }) => `${seq}: ${kind}. ${detail}`) }
}

export async function download(rbac: Rbac, path: string) {
  const lines = rbac.audit.export({ tenantId: 'acme' }, { format: 'jsonl', action: 'key.*' })
  await pipeline(Readable.from(lines), createWriteStream(path))
}

export async function keepAndForget(rbac: Rbac) {
  const year = 365 * 24 * 60 * 60 * 1000
  const pruned = await rbac.audit.prune({ tenantId: 'acme' }, { olderThanMs: year })
  const erased = await rbac.audit.erase({ tenantId: 'acme' }, { userId: 'eve', emails: ['eve@example.com'] })
  return { pruned, erased }
}

export async function feed(rbac: Rbac) {
  const { data } = await rbac.audit.activity({ tenantId: 'acme' }, { limit: 20 })
  return data.map(({ summary }) => summary)
}
