import type { Slice } from '@org/core'
import type { Subscription, SubscriptionStatus } from './schema.js'

export interface SubscriptionStore {
  /** False, and nothing written, if the tenant's slot holds a live one. */
  insert(subscription: Subscription): Promise<boolean>
  get(tenantId: string, id: string): Promise<Subscription | null>
  /** The live one in the tenant's slot. */
  live(tenantId: string, slot: string): Promise<Subscription | null>
  /** Reads it and keeps others from changing it until the transaction ends. */
  lock(tenantId: string, id: string): Promise<Subscription | null>
  update(subscription: Subscription): Promise<void>
  remove(id: string): Promise<void>
  list(tenantId: string, filter: { status?: SubscriptionStatus | undefined }, slice: Slice): Promise<Subscription[]>
  /** Live ones whose period has ended at `now`, those that waited longest first. */
  due(now: number, slice: Slice<[currentPeriodEnd: number, id: string]>): Promise<Subscription[]>
}
