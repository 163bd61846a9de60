/** Stands for the host's own sign-in. */
import type { Identity } from '@org/rbac'

const sessions = new Map<string, Identity>([
  ['Bearer olga-1', { tenantId: 'acme', userId: 'olga' }],
  ['Bearer dev-1', { tenantId: 'acme', userId: 'dev' }],
])

export function signedIn(authorization = ''): Identity | null {
  return sessions.get(authorization) ?? null
}
