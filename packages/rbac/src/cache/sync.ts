/** Hears of other processes' changes. Nothing depends on it: what is missed is found out within `maxStaleMs`. */
import { setTimeout as delay } from 'node:timers/promises'
import { coreErrors, type Runtime } from '@org/core'
import { type BusListener, type CacheBus, TenantChange } from './bus.js'
import type { Tenants } from './tenants.js'

export interface CacheSync {
  /** Resolves once it listens for the first time; never rejects. */
  readonly ready: Promise<void>
  /** Ends it, and closes what it opened. */
  stop(): Promise<void>
}

/** The waits between attempts to listen: from a quarter of a second, twice as long each time, up to half a minute. */
const firstWaitMs = 250
const longestWaitMs = 30_000

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
  const stopping = new AbortController()
  const { signal } = stopping
  let listening = () => {}
  const ready = new Promise<void>((resolve) => {
    listening = resolve
  })

  async function run(): Promise<void> {
    let wait = firstWaitMs
    while (!signal.aborted) {
      try {
        await listen(bus as CacheBus, () => {
          wait = firstWaitMs
        })
      } catch (error) {
        logger.warn('Changes of rights by other processes are not heard at the moment; trying again', { error })
      }
      // Many processes that lost the same server must not come back at once.
      const pause = wait * (0.5 + random.number() / 2)
      wait = Math.min(wait * 2, longestWaitMs)
      if (!signal.aborted) await delay(pause, undefined, { signal, ref: false }).catch(() => {})
    }
  }

  /** Until the connection is lost or `stop` is called. */
  async function listen(on: CacheBus, connected: () => void): Promise<void> {
    const lost = new Promise<unknown>((resolve) => {
      signal.addEventListener('abort', () => resolve(undefined), { once: true })
      listener.lost = resolve
    })
    const end = await on.listen(listener)
    doubtAll()
    connected()
    listening()
    const error = await lost
    await end()
    if (error !== undefined) throw error
  }

  const listener: BusListener = {
    heard: (message) => hear(tenants, message),
    reconnected: doubtAll,
    lost: () => {},
  }

  function doubtAll(): void {
    for (const tenant of tenants?.all() ?? []) tenant.doubt()
  }

  const running = run()
  return {
    ready,
    async stop() {
      stopping.abort()
      await running
    },
  }
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
