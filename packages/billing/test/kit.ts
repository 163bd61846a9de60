/** What the tests of billing share: one catalogue, and billing on each storage. */

import { type BillingStorage, createBilling, defineCatalog, memoryStorage, type PaymentProvider } from '@org/billing'
import { knexStorage, migrate } from '@org/billing/knex'
import { type DomainEvent, type EventSink, memoryDatabase, type Tx } from '@org/core'
import { type FakeClock, fakeClock, type OpenDatabase, recordingLogger, testDatabases } from '@org/core/testing'

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

export interface World {
  storage: BillingStorage
  /** Runs work in a transaction of the host's. */
  transaction<T>(work: (tx: Tx) => Promise<T>): Promise<T>
  /** The same data as a second process sees it. */
  another(): BillingStorage
  close(): Promise<void>
}

export interface Place {
  name: string
  missing: string | null
  open(options?: { pool?: number }): Promise<World>
}

const memory: Place = {
  name: 'memory',
  missing: null,
  async open() {
    const database = memoryDatabase()
    const storage = memoryStorage({ database })
    return { storage, transaction: (work) => database.transaction(work), another: () => storage, close: async () => {} }
  },
}

/** The four storages. */
export const places: Place[] = [
  memory,
  ...(await testDatabases()).map(
    ({ name, missing, open }): Place => ({
      name,
      missing,
      async open(options) {
        const database: OpenDatabase = await open(options)
        const others: ReturnType<OpenDatabase['connect']>[] = []
        await migrate(database.knex)
        return {
          storage: knexStorage(database.knex),
          transaction: (work) => database.knex.transaction(work),
          another() {
            const knex = database.connect()
            others.push(knex)
            return knexStorage(knex)
          },
          async close() {
            for (const knex of others) await knex.destroy()
            await database.close()
          },
        }
      },
    }),
  ),
]

export interface SetUpOptions {
  provider?: PaymentProvider
  events?: EventSink
  clock?: FakeClock
}

/** Billing on a storage, with a clock that stands still and everything that it emits. */
export function billingOn(storage: BillingStorage, { clock = fakeClock(), events, ...options }: SetUpOptions = {}) {
  const heard: DomainEvent[] = []
  const logger = recordingLogger()
  const sinks: EventSink[] = [(event) => void heard.push(event), ...(events ? [events] : [])]
  const billing = createBilling({ catalog, storage, clock, logger, events: sinks, ...options })
  const types = () => heard.map((event) => event.type)
  return { billing, clock, heard, types, logger }
}

export const at = (text: string) => Date.parse(text)
