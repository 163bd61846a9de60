/** The three modules on the host's database, and who listens to whom. This file is all the wiring there is. */
import { createBilling } from '@org/billing'
import { knexStorage as billingStorage } from '@org/billing/knex'
import { createRbac, defineResources, predefinedResources, predefinedRoles } from '@org/rbac'
import { knexStorage as rbacStorage } from '@org/rbac/knex'
import { createWebhooks } from '@org/webhooks'
import { knexStorage as webhooksStorage } from '@org/webhooks/knex'
import type { Knex } from 'knex'
import { emailsOf } from './accounts.js'
import { catalog } from './catalog.js'

export interface ModuleOptions {
  /** The demo moves it forward; a real app leaves it out. */
  clock?: { now(): number }
  /** Private networks that webhooks may reach, and the certificates they are trusted by; for the demo's receiver. */
  network?: { allow: string[]; ca: string }
}

export type Modules = ReturnType<typeof createModules>

export function createModules(knex: Knex, options: ModuleOptions = {}) {
  const { network, ...shared } = options

  const rbac = createRbac({
    ...shared,
    storage: rbacStorage(knex),
    resources: defineResources({ ...predefinedResources, projects: ['create', 'read'], requests: ['create'] }),
    // A key never may more than whoever makes it: developers make keys that send requests.
    roles: {
      ...predefinedRoles,
      developer: {
        ...predefinedRoles.developer,
        permissions: [...predefinedRoles.developer.permissions, 'requests:create'],
      },
    },
    keys: { prefix: 'gw' },
    // An invite is accepted only with an address that is known to be the user's.
    invites: { verifiedEmails: (userId, { tx }) => emailsOf((tx as Knex.Transaction | undefined) ?? knex, userId) },
    // `key.created`, `key.revoked` and `rate_limit.exceeded` become webhooks.
    events: (event, tx): Promise<void> => webhooks.sink(event, tx),
  })
  // Changes to endpoints are audited.
  const webhooks = createWebhooks({
    ...shared,
    ...(network && { network }),
    storage: webhooksStorage(knex),
    events: rbac.audit.sink,
  })
  // `quota.exceeded` and `alert.triggered` become webhooks, and everything is audited.
  const billing = createBilling({
    ...shared,
    catalog,
    storage: billingStorage(knex),
    events: [webhooks.sink, rbac.audit.sink],
  })
  return { rbac, webhooks, billing }
}
