import { pageOf, type Route, route } from '@org/core'
import { z } from 'zod'
import { exportTypes } from './export.js'
import { ActivityQuery, ActivityView, AuditEntryView, AuditParams, ExportParams } from './schema.js'
import type { Audit } from './service.js'

const VerificationView = z
  .object({
    ok: z.boolean(),
    entries: z.int(),
    sealed: z.int(),
    unsealed: z.int(),
    erased: z.int(),
    pruned: z.int(),
    findings: z.array(
      z.object({
        kind: z.enum(['edited', 'deleted', 'reordered', 'forked', 'truncated', 'checkpoint_invalid']),
        seq: z.int().nullable(),
        entryId: z.string().optional(),
        detail: z.string(),
      }),
    ),
    omitted: z.int(),
  })
  .meta({ id: 'RbacAuditVerification' })

export function auditRoutes(audit: Audit): Route[] {
  return [
    route({
      id: 'rbac.queryAudit',
      method: 'GET',
      path: '/audit',
      summary: 'Read the audit log',
      description: '`from` is inclusive, `to` is not; the newest entries come first. `action=key.*` is all of `key.`',
      can: ['read', 'audit'],
      query: AuditParams,
      response: pageOf(AuditEntryView),
      handler: ({ query }, ctx) => audit.query(ctx, query),
    }),
    route({
      id: 'rbac.exportAudit',
      method: 'GET',
      path: '/audit/export',
      summary: 'Download the audit log',
      description: 'As comma-separated values, or as one JSON object a line; with the filters of the log itself.',
      can: ['read', 'audit'],
      query: ExportParams,
      streams: Object.values(exportTypes),
      async handler({ query }, ctx) {
        const { format } = query
        return { contentType: exportTypes[format], fileName: `audit.${format}`, body: audit.export(ctx, query) }
      },
    }),
    route({
      id: 'rbac.verifyAudit',
      method: 'GET',
      path: '/audit/verify',
      summary: 'Check that nobody has changed the audit log',
      description:
        'Reads the whole log. Copies of checkpoints that are kept elsewhere are checked in code, with `verify`.',
      can: ['read', 'audit'],
      response: VerificationView,
      handler: (_, ctx) => audit.verify(ctx),
    }),
    route({
      id: 'rbac.listActivity',
      method: 'GET',
      path: '/activity',
      summary: 'See what the team has been doing',
      can: ['read', 'team'],
      query: ActivityQuery,
      response: pageOf(ActivityView),
      handler: ({ query }, ctx) => audit.activity(ctx, query),
    }),
  ]
}
