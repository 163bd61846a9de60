/** What every service of the module stands on. */
import type { Emit, Runtime } from '@org/core'
import type { Catalog } from './catalog/define.js'
import type { billingEvents } from './events.js'
import type { PaymentProvider } from './provider/port.js'
import type { BillingStorage } from './storage/port.js'

export interface Deps {
  catalog: Catalog
  provider: PaymentProvider
  storage: BillingStorage
  runtime: Runtime
  emit: Emit<typeof billingEvents>
  /** How long an overdue subscription keeps what its plan gives, in milliseconds. */
  gracePeriodMs: number
  /** How a number from the sequence reads on an invoice. */
  invoiceNumber: (sequence: number) => string
}
