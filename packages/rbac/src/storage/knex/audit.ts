import { integer, json, KnexTable, nullable, oneOf, text } from '@org/core/knex'
import type { Knex } from 'knex'
import type { AuditEntry } from '../../audit/schema.js'
import type { AuditFilter, AuditStore } from '../../audit/store.js'

/** An entry with its pairs side by side. */
type AuditRow = Omit<AuditEntry, 'actor' | 'resource'> & {
  actorType: AuditEntry['actor']['type']
  actorId: string
  resourceType: string | null
  resourceId: string | null
}

export function knexAudit(db: Knex, prefix: string): AuditStore {
  const table = new KnexTable<AuditRow>(db, `${prefix}audit_entries`, {
    id: text,
    eventId: nullable(text),
    tenantId: text,
    time: integer,
    actorType: oneOf(),
    actorId: text,
    action: text,
    resourceType: nullable(text),
    resourceId: nullable(text),
    outcome: oneOf(),
    data: json(),
    before: nullable(json()),
    after: nullable(json()),
    ip: nullable(text),
    userAgent: nullable(text),
    requestId: nullable(text),
  })
  return {
    async insertOrFind(entry) {
      const found = await table.insertOrFind(rowOf(entry), ['tenantId', 'eventId'])
      return found && entryOf(found)
    },
    async list(tenantId, filter, { limit, after }) {
      const rows = await table.all((query) => {
        narrow(query.where('tenant_id', tenantId), filter)
        if (after) query.where((older) => before(older, ...after))
        return query
          .orderBy([
            { column: 'time', order: 'desc' },
            { column: 'id', order: 'desc' },
          ])
          .limit(limit)
      })
      return rows.map(entryOf)
    },
  }
}

function before(query: Knex.QueryBuilder, time: number, id: string): void {
  query.where('time', '<', time).orWhere((same) => same.where('time', time).where('id', '<', id))
}

function narrow(query: Knex.QueryBuilder, { user, action, resourceType, resourceId, from, to }: AuditFilter): void {
  if (user !== undefined) query.where('actor_id', user)
  if (action !== undefined) query.where('action', action)
  if (resourceType !== undefined) query.where('resource_type', resourceType)
  if (resourceId !== undefined) query.where('resource_id', resourceId)
  if (from !== undefined) query.where('time', '>=', from)
  if (to !== undefined) query.where('time', '<', to)
}

function rowOf({ actor, resource, ...entry }: AuditEntry): AuditRow {
  const target = { resourceType: resource?.type ?? null, resourceId: resource?.id ?? null }
  return { ...entry, actorType: actor.type, actorId: actor.id, ...target }
}

function entryOf({ actorType, actorId, resourceType, resourceId, ...row }: AuditRow): AuditEntry {
  const resource = resourceType === null || resourceId === null ? null : { type: resourceType, id: resourceId }
  return { ...row, actor: { type: actorType, id: actorId }, resource }
}
