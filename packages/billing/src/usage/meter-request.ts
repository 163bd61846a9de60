/** What `meterUsage` does around a request, whatever the framework. */
import type { ServerResponse } from 'node:http'
import type { RequestContext, Runtime } from '@org/core'
import { rateLimitHeaders } from '../entitlements/headers.js'
import type { Usage } from './service.js'

export interface MeterOptions {
  quantity: number
  idempotencyKey: string | undefined
  /** Whether a response with this status is billed. */
  bills: (status: number) => boolean
}

/** Only answers that the caller could use. */
export const billsSuccess = (status: number): boolean => status < 400

/**
 * Counts before the handler runs, so that a hard limit is exact however many requests run at once, and takes the use
 * back when the response turns out not to be billed. A caller that hangs up early pays: the work was done.
 */
export async function meterRequest(
  { usage, runtime }: { usage: Usage; runtime: Runtime },
  meter: string,
  context: RequestContext,
  response: ServerResponse,
  { quantity, idempotencyKey, bills }: MeterOptions,
): Promise<Record<string, string>> {
  const { tenantId, tx } = context
  const key = idempotencyKey === undefined ? {} : { idempotencyKey }
  const record = await usage.record({ tenantId, meter, quantity, ...key }, { tx })
  if (!record.duplicate) {
    response.once('close', () => {
      // Whoever hangs up before the answer has no status to show: Koa's is 404 until the handler sets one.
      if (!response.headersSent || bills(response.statusCode)) return
      usage.withdraw({ tenantId }, record.eventId).catch((error: unknown) => {
        runtime.logger.error('a failed request stays billed', { tenantId, meter, eventId: record.eventId, error })
      })
    })
  }
  // A meter that refuses nothing has no limit to tell: a client would stop for no reason.
  const { limit, remaining, enforced } = record
  if (!enforced || limit === null || remaining === null) return {}
  return rateLimitHeaders({ ...record, limit, remaining }, runtime.clock.now())
}
