/**
 * The contract that every storage of @org/webhooks keeps, for whoever writes an adapter. It knows no test runner:
 *
 * ```ts
 * for (const { name, run } of storageContract) it(name, () => run(open))
 * ```
 */
import type { ContractCase } from '@org/core/testing'
import type { WebhooksStorage } from './storage/port.js'
import { claimCases } from './testing/claims.js'
import { deliveryCases } from './testing/deliveries.js'
import { endpointCases } from './testing/endpoints.js'
import { messageCases } from './testing/messages.js'
import { orderCases } from './testing/orders.js'
import { waitingCases } from './testing/waiting.js'

export { type FakeClock, fakeClock } from '@org/core/testing'

export const storageContract: readonly ContractCase<WebhooksStorage>[] = [
  ...endpointCases,
  ...messageCases,
  ...deliveryCases,
  ...waitingCases,
  ...claimCases,
  ...orderCases,
]
