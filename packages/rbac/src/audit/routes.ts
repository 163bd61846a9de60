import { pageOf, type Route, route } from '@org/core'
import { AuditEntryView, AuditParams } from './schema.js'
import type { Audit } from './service.js'

export function auditRoutes(audit: Audit): Route[] {
  return [
    route({
      id: 'rbac.queryAudit',
      method: 'GET',
      path: '/audit',
      summary: 'Read the audit log',
      description: '`from` is inclusive, `to` is not; the newest entries come first.',
      can: ['read', 'audit'],
      query: AuditParams,
      response: pageOf(AuditEntryView),
      handler: ({ query }, ctx) => audit.query(ctx, query),
    }),
  ]
}
