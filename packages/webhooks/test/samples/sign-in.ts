import type { Ability } from '@org/webhooks'

/** The host's own sign-in: a token names the user; the ability is of any CASL version, or from `@org/rbac`. */
export function signedIn(token: string | undefined): { userId: string; tenantId: string; ability: Ability } | null {
  if (token !== 'Bearer olga-1') return null
  return { userId: 'olga', tenantId: 'acme', ability: { can: (_, subject) => subject === 'webhooks' } }
}
