/** The port for whatever tells other processes of a change. */
import { ExternalId, type Listener, type MessageSource, type Tx } from '@org/core'
import { z } from 'zod'

/** All that a message says: which tenant, and the version that it is at from now on, or will be once it is committed. */
export const TenantChange = z.object({ tenantId: ExternalId, version: z.int().min(1) })
export type TenantChange = z.infer<typeof TenantChange>

export type BusListener = Listener

export interface CacheBus extends MessageSource {
  /** Sends it with the transaction, for a bus that is the database itself; what it throws undoes the change. */
  announce?(change: TenantChange, tx: Tx): Promise<void>
  /** Sends it after the work, for a bus that is not; nobody waits for it. */
  publish?(change: TenantChange): Promise<void>
}
