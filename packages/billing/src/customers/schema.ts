/** A customer: who pays for a tenant. There is one for each tenant. */
import { Text, Time, TimeView } from '@org/core'
import { z } from 'zod'

const Email = z.email().max(254)
const Name = Text.min(1).max(200)
/** A reference to a payment method at the provider; never a card number. */
const PaymentMethod = z
  .string()
  .min(1)
  .max(128)
  .regex(/^[a-zA-Z0-9_-]+$/, "must be a reference from the payment provider, such as 'pm_…'")

const given = {
  email: Email.nullable().optional(),
  name: Name.nullable().optional(),
  paymentMethod: PaymentMethod.nullable().optional(),
}

/** What the host says about a customer. */
export const CreateCustomer = z.strictObject(given)
export type CreateCustomer = z.input<typeof CreateCustomer>

/** What is left out stays as it is; null clears it. */
export const UpdateCustomer = z.strictObject(given)
export type UpdateCustomer = z.input<typeof UpdateCustomer>

export const Customer = z.object({
  id: z.string(),
  tenantId: z.string(),
  email: Email.nullable(),
  name: Name.nullable(),
  paymentMethod: PaymentMethod.nullable(),
  /** What the customer has to their credit, in minor units; invoices take from it first. Never below zero. */
  balance: z.int().min(0),
  createdAt: Time,
  updatedAt: Time,
})
export type Customer = z.infer<typeof Customer>

export const CustomerView = Customer.omit({ tenantId: true })
  .extend({ createdAt: TimeView, updatedAt: TimeView })
  .meta({ id: 'BillingCustomer' })
