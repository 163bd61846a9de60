/** Long logs, made with as little of ours as possible, so that measuring can begin. */
import { createRuntime } from '@org/core'
import type { Knex } from 'knex'
import { recordOf } from '../src/audit/canonical.js'
import type { AuditEntry } from '../src/audit/schema.js'
import { auditTable } from '../src/storage/knex/audit.js'

const runtime = createRuntime()
const start = 1_767_225_600_000

/** The usual entry of a change. */
export function entryOf(tenantId: string, i: number): AuditEntry {
  const target = { type: 'key', id: `key_${i % 5000}` }
  return {
    ...{ id: runtime.id('aud'), eventId: null, tenantId, time: start + i },
    ...{
      actor: { type: 'user', id: `user-${i % 200}` },
      action: `key.a${i % 20}`,
      resource: target,
      targets: [target],
    },
    ...{ outcome: 'success', data: { keyId: target.id, name: 'CI' } },
    ...{ before: { name: 'old', scopes: ['keys:read'] }, after: { name: 'CI', scopes: ['keys:read', 'keys:create'] } },
    ...{ ip: '203.0.113.7', userAgent: 'Mozilla/5.0 (X11; Linux x86_64)', requestId: `req-${i}` },
  }
}

/** `count` entries that are not sealed, a millisecond apart. */
export async function fill(knex: Knex, tenantId: string, count: number): Promise<void> {
  const rows = Array.from({ length: count }, (_, i) => recordOf(entryOf(tenantId, i), runtime.random))
  await knex.transaction(async (tx) => auditTable(tx, 'rbac_').insert(rows))
}

/** As many as a million in seconds: the database copies what is there, each time later and under another id. */
export async function fillUp(knex: Knex, tenantId: string, count: number): Promise<void> {
  await fill(knex, tenantId, 1000)
  const copied =
    'actor_type, actor_id, action, outcome, resource_type, resource_id, what, who_salt, what_salt, canonical'
  for (let there = 1000; there < count; there *= 10) {
    for (let copy = 1; copy < 10 && there * copy < count; copy++) {
      const shift = there * copy
      await knex.raw(
        `insert into rbac_audit_entries (id, tenant_id, time, content_hash, request_id, ${copied})
         select id || '-' || cast(? as varchar(12)), tenant_id, time + ?, content_hash, request_id || '-' || cast(? as varchar(12)), ${copied}
         from rbac_audit_entries where tenant_id = ? and time < ?`,
        [String(shift), shift, String(shift), tenantId, start + there],
      )
    }
  }
  await knex.raw('analyze')
}

/** The log of one tenant once more for each of the others. */
export async function copyTo(knex: Knex, tenantId: string, others: readonly string[]): Promise<void> {
  const copied = `id, time, content_hash, request_id, actor_type, actor_id, action, outcome, resource_type, resource_id,
    what, who_salt, what_salt, canonical`
  for (const other of others) {
    await knex.raw(
      `insert into rbac_audit_entries (tenant_id, ${copied})
       select cast(? as varchar(128)), ${copied} from rbac_audit_entries where tenant_id = ?`,
      [other, tenantId],
    )
  }
}
