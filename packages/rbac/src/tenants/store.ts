import type { Tenant } from './schema.js'

/** The row that changes to a tenant's rights take turns on. */
export interface TenantStore {
  /**
   * Locks the tenant until the transaction ends, and marks its rights as changed: the version is one more. Called first
   * by whatever changes rights, so that two who ask "is this the last owner?" at once get one answer after the other,
   * and so that no cache takes what was for what is.
   */
  touch(tenantId: string): Promise<void>
  /** How often its rights changed; 0 for a tenant that nobody has heard of. */
  version(tenantId: string): Promise<number>
  find(tenantId: string): Promise<Tenant | null>
  /** The tenant must have been touched. */
  update(tenantId: string, patch: Pick<Partial<Tenant>, 'name' | 'createdAt'>): Promise<void>
  /** Those of these ids that there are. */
  named(tenantIds: readonly string[]): Promise<Tenant[]>
}
