import { idempotencyMigration, type Migration } from '@org/core/knex'
import { tenants } from './0001-tenants.js'
import { members } from './0002-members.js'
import { assignments } from './0003-assignments.js'
import { auditEntries } from './0010-audit-entries.js'
import { auditTargets } from './0011-audit-targets.js'
import { auditHeads } from './0012-audit-heads.js'
import { auditCheckpoints } from './0013-audit-checkpoints.js'
import { policies } from './0020-policies.js'
import { policyDrafts } from './0021-policy-drafts.js'
import { invites } from './0030-invites.js'
import { keys } from './0040-keys.js'
import { keySecrets } from './0041-key-secrets.js'

/** Goes before every table name unless the host says otherwise. */
export const defaultPrefix = 'rbac_'

/** The steps in order, to look at; `migrate` applies them. Released ones never change; new ones go to the end. */
export const migrations: readonly Migration[] = [
  idempotencyMigration,
  tenants,
  members,
  assignments,
  auditEntries,
  auditTargets,
  auditHeads,
  auditCheckpoints,
  policies,
  policyDrafts,
  invites,
  keys,
  keySecrets,
]
