/** The row that changes to a tenant's team take turns on. */
export interface TenantStore {
  /**
   * Locks the tenant until the transaction ends. Called first by whatever decides over more than one row, such as
   * "is this the last owner?", so that two who ask at once get one answer after the other.
   */
  lock(tenantId: string): Promise<void>
}
