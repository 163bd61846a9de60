import type { Policy } from './schema.js'

export interface PolicyStore {
  /** The version that counts; null if the tenant has none. With `lock`, as it is now and stays until the transaction ends. */
  current(tenantId: string, options?: { lock?: boolean }): Promise<Policy | null>
}
