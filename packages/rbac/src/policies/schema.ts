import { Actor, Time } from '@org/core'
import { z } from 'zod'
import { Role } from '../roles/schema.js'

/** One version of a tenant's own roles. Versions are never changed; the highest one counts. */
export const Policy = z.object({
  tenantId: z.string(),
  /** 1, 2, 3, … */
  version: z.number().int(),
  roles: z.array(Role),
  author: Actor,
  createdAt: Time,
})
export type Policy = z.infer<typeof Policy>
