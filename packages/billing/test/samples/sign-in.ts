/** Stands for the host's own sign-in: `Bearer <tenant>`. */
import { createMongoAbility } from '@casl/ability'
import type { RequestContext } from '@org/billing'

export function signedIn(authorization: string | undefined): RequestContext | null {
  const tenantId = /^Bearer (\w+)$/.exec(authorization ?? '')?.[1]
  if (!tenantId) return null
  const ability = createMongoAbility([{ action: 'manage', subject: 'all' }])
  return { tenantId, actor: { type: 'user', id: 'olga' }, ability }
}
