/** What the gateway tells the world about each request: `request.created`, `.completed`, `.failed`, `rate_limit.exceeded`. */
import { randomUUID } from 'node:crypto'
import { RateLimiterMemory } from 'rate-limiter-flexible'
import type { Modules } from './modules.js'

export interface Caller {
  tenantId: string
  keyId: string
}

export function createTraffic({ webhooks }: Modules, options: { requestsPerSecond: number }) {
  const limiter = new RateLimiterMemory({ points: options.requestsPerSecond, duration: 1 })

  return {
    /** Seconds to wait, or 0. The webhook is sent for the first refusal of each second only. */
    async refuseFor({ tenantId, keyId }: Caller): Promise<number> {
      const state = await limiter
        .consume(keyId)
        .catch((refused: { consumedPoints: number; msBeforeNext: number }) => refused)
      if (state.consumedPoints <= options.requestsPerSecond) return 0
      if (state.consumedPoints === options.requestsPerSecond + 1) {
        const data = { keyId, limit: options.requestsPerSecond, windowSeconds: 1 }
        await webhooks.publish({ tenantId, type: 'rate_limit.exceeded', data })
      }
      return Math.ceil(state.msBeforeNext / 1000)
    },

    async started({ tenantId, keyId }: Caller, method: string, path: string) {
      const data = { requestId: `req_${randomUUID()}`, method, path, keyId }
      await webhooks.publish({ tenantId, type: 'request.created', data })
      const startedAt = performance.now()
      return async (status: number) => {
        const type = status < 500 ? 'request.completed' : 'request.failed'
        const durationMs = Math.round(performance.now() - startedAt)
        await webhooks.publish({ tenantId, type, data: { ...data, status, durationMs } })
      }
    },
  }
}
