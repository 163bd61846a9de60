/** What the tests of billing share: one catalog, and billing on each storage. */

import assert from 'node:assert/strict'
import {
  type BillingStorage,
  billingEvents,
  createBilling,
  defineCatalog,
  memoryStorage,
  type PaymentProvider,
} from '@org/billing'
import { knexStorage, migrate } from '@org/billing/knex'
import type { DomainEvent, EventSink } from '@org/core'
import { type FakeClock, fakeClock, type OpenTarget, recordingLogger, storageTargets } from '@org/core/testing'

export const catalog = defineCatalog({
  currency: 'usd',
  features: {
    sso: { type: 'boolean' },
    projects: { type: 'static' },
    support: { type: 'static' },
    moon: { type: 'boolean' },
  },
  meters: { requests: { name: 'API requests' }, emails: {}, exports: {} },
  plans: {
    free: {
      name: 'Free',
      rank: 0,
      features: { projects: 1 },
      meters: { requests: { included: 10, limit: 'hard', alerts: [0.8, 0.5] } },
    },
    starter: {
      name: 'Starter',
      rank: 1,
      prices: { month: 1000, year: 10_000 },
      features: { projects: 5, support: 'mail' },
      meters: { requests: { included: 100, limit: 'hard', alerts: [0.8] } },
    },
    pro: {
      name: 'Pro',
      rank: 2,
      prices: { month: 3000, year: 30_000 },
      features: { sso: true, projects: 20, support: 'phone' },
      meters: {
        requests: { included: 1000, limit: 'soft', price: { model: 'per_unit', unitAmount: 5, per: 10 } },
        emails: { included: 'unlimited', limit: 'soft' },
      },
    },
    scale: {
      name: 'Scale',
      rank: 3,
      prices: { month: 9000 },
      features: { sso: true, projects: 100 },
      meters: { requests: { included: 5000, limit: 'soft', price: { model: 'per_unit', unitAmount: 1 } } },
    },
  },
  defaultPlan: 'free',
})

/** The four storages that behaviour is tested on. */
export const places = await storageTargets({ memory: memoryStorage, knex: knexStorage, migrate })

export type World = OpenTarget<BillingStorage>

export interface SetUpOptions {
  provider?: PaymentProvider
  events?: EventSink
  clock?: FakeClock
}

/** Billing on a storage, with a clock that stands still and everything that it emits. */
export function billingOn(storage: BillingStorage, { clock = fakeClock(), events, ...options }: SetUpOptions = {}) {
  const heard: DomainEvent[] = []
  const logger = recordingLogger()
  const hear: EventSink = (event) => {
    assertListed(event)
    heard.push(event)
  }
  const sinks = [hear, ...(events ? [events] : [])]
  const billing = createBilling({ catalog, storage, clock, logger, events: sinks, ...options })
  const types = () => heard.map((event) => event.type)
  return { billing, clock, heard, types, logger }
}

/** Whatever any test brings about: the catalog of events says so, and says all of it. */
function assertListed({ type, data }: DomainEvent): void {
  const schema = Object.hasOwn(billingEvents, type) ? billingEvents[type as keyof typeof billingEvents] : undefined
  assert.ok(schema, `${type} is not in billingEvents`)
  assert.deepEqual(schema.parse(data), data)
}

export const at = (text: string) => Date.parse(text)
