/** What the gateway tells the world about each request: `request.created`, `request.completed`, `request.failed`. */
import { randomUUID } from 'node:crypto'
import type { Modules } from './modules.js'

export interface Caller {
  tenantId: string
  keyId: string
}

/** Call the answer with the status when the request is done. */
export async function started({ webhooks }: Modules, { tenantId, keyId }: Caller, method: string, path: string) {
  const data = { requestId: `req_${randomUUID()}`, method, path, keyId }
  await webhooks.publish({ tenantId, type: 'request.created', data })
  const startedAt = performance.now()
  return async (status: number) => {
    const type = status < 500 ? 'request.completed' : 'request.failed'
    const durationMs = Math.round(performance.now() - startedAt)
    await webhooks.publish({ tenantId, type, data: { ...data, status, durationMs } })
  }
}
