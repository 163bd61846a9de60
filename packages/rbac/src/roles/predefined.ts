import type { PredefinedResources } from '../permissions/predefined.js'
import type { RoleDefinition } from './schema.js'

/** The roles of an API gateway's team. Spread them to add your own, or write your own instead. */
export const predefinedRoles = {
  owner: { name: 'Owner', description: 'May do everything', permissions: ['*'] },
  admin: {
    name: 'Admin',
    description: 'Runs keys, analytics, the team and webhooks',
    permissions: ['keys:*', 'analytics:*', 'team:*', 'webhooks:*'],
  },
  developer: {
    name: 'Developer',
    description: 'Works with keys and reads analytics',
    permissions: ['keys:*', 'analytics:read'],
  },
  billing: {
    name: 'Billing',
    description: 'Runs billing and reads analytics',
    permissions: ['billing:*', 'analytics:read'],
  },
  read_only: { name: 'Read Only', description: 'Reads everything', permissions: ['*:read'] },
} as const satisfies Record<string, RoleDefinition<PredefinedResources>>
