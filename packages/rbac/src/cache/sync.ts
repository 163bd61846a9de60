/** Hears of other processes' changes. Nothing depends on it: what is missed is found out within `maxStaleMs`. */
import { coreErrors, keepListening, type Listening, type Runtime } from '@org/core'
import { type CacheBus, TenantChange } from './bus.js'
import type { Tenants } from './tenants.js'

export interface CacheSync extends Listening {}

/** @throws ProblemError `setup_error` without a bus. */
export function startCacheSync(
  tenants: Tenants | undefined,
  bus: CacheBus | undefined,
  { logger, random }: Pick<Runtime, 'logger' | 'random'>,
): CacheSync {
  if (!tenants || !bus) {
    throw coreErrors.setup_error({
      detail: 'startCacheSync() wants createRbac({ cache: { bus: postgresBus(knex) } }).',
    })
  }
  return keepListening(
    bus,
    {
      heard: (message) => hear(tenants, message),
      reconnected() {
        for (const tenant of tenants.all()) tenant.doubt()
      },
      failed: (error) =>
        logger.warn('Changes of rights by other processes are not heard at the moment; trying again', { error }),
    },
    { random },
  )
}

/** A message is a hint from anybody: all that it can do is have a version read. */
function hear(tenants: Tenants, message: string): void {
  const parsed = TenantChange.safeParse(fromJson(message))
  if (!parsed.success) return
  const { tenantId, version } = parsed.data
  const tenant = tenants.find(tenantId)
  if (!tenant || (tenant.snapshot.version ?? 0) >= version) return
  tenants.expect(tenant, version)
}

function fromJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
