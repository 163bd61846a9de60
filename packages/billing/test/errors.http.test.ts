/** What the routes refuse when money is missing or on its way; the server sees to it that they declare it. */
import { localProvider, memoryStorage, type PaymentProvider } from '@org/billing'
import * as express from '@org/billing/express'
import * as koa from '@org/billing/koa'
import { type HttpServer, httpTargets, mounted } from '@org/core/testing'
import request from 'supertest'
import { afterEach, describe, expect, it } from 'vitest'
import { billingOn } from './kit.js'

const scope = { tenantId: 'acme' }
const context = () => ({ ...scope, actor: { type: 'user', id: 'ann' } as const, ability: { can: () => true } })

/** Billing whose provider can be unplugged. */
function world(inProcess: boolean) {
  let down = false
  const provider: PaymentProvider = {
    ...{ name: 'unplugged', inProcess },
    async charge(asked) {
      if (down) throw new Error('no answer')
      return localProvider().charge(asked)
    },
  }
  const { billing, clock } = billingOn(memoryStorage(), { provider })
  return {
    ...{ billing, clock },
    unplug() {
      down = true
    },
    subscribe: async (plan: 'free' | 'starter' | 'pro' = 'starter') =>
      (await billing.subscriptions.create(scope, { plan })).id,
    decline: () => billing.customers.update(scope, { paymentMethod: 'pm_declined' }),
  }
}

type World = ReturnType<typeof world>
type Asked = [path: string, body?: object]

/** Longer than any period of a month, and than the grace. */
const month = 32 * 24 * 60 * 60 * 1000
const steps: Record<string, object> = { preview: { plan: 'pro' }, change: { plan: 'pro' }, cancel: {}, resume: {} }

/** Each step on a subscription, in one state of it. */
const onEach = (prepare: (world: World) => Promise<string>, ...names: string[]) =>
  names.map((name) => async (world: World): Promise<Asked> => {
    return [`/subscriptions/${await prepare(world)}/${name}`, steps[name] ?? {}]
  })

async function unpaid({ billing, clock, subscribe, decline }: World): Promise<string> {
  const id = await subscribe()
  await decline()
  clock.advance(month)
  await billing.runDueWork()
  return id
}

const cases: [code: string, inProcess: boolean, all: ((world: World) => Promise<Asked>)[]][] = [
  [
    'payment_unavailable',
    true,
    [
      async ({ unplug }) => {
        unplug()
        return ['/subscriptions', { plan: 'starter' }]
      },
      async (world) => {
        await unpaid(world)
        world.unplug()
        const [invoice] = (await world.billing.invoices.list(scope, { status: 'open' })).data
        return [`/invoices/${invoice?.id}/pay`]
      },
      // A period that is over is billed first.
      ...onEach(
        async ({ clock, subscribe, unplug }) => {
          const id = await subscribe()
          clock.advance(month)
          unplug()
          return id
        },
        ...['change', 'cancel', 'resume'],
      ),
    ],
  ],
  [
    'payment_declined',
    true,
    [
      async ({ billing, decline }) => {
        await billing.customers.create(scope, {})
        await decline()
        return ['/subscriptions', { plan: 'starter' }]
      },
      ...onEach(async ({ subscribe, decline }) => {
        const id = await subscribe()
        await decline()
        return id
      }, 'change'),
    ],
  ],
  [
    'subscription_incomplete',
    false,
    onEach(
      async ({ billing, subscribe, unplug }) => {
        unplug()
        await subscribe().catch(() => {})
        return (await billing.subscriptions.current(scope))?.id ?? ''
      },
      ...Object.keys(steps),
    ),
  ],
  [
    'payment_in_progress',
    false,
    onEach(
      async ({ billing, subscribe, unplug }) => {
        const id = await subscribe()
        unplug()
        await billing.subscriptions.change(scope, id, { plan: 'pro' }).catch(() => {})
        return id
      },
      ...Object.keys(steps),
    ),
  ],
  [
    'subscription_ended',
    true,
    onEach(
      async ({ billing, subscribe }) => {
        const id = await subscribe()
        await billing.subscriptions.cancel(scope, id, { when: 'now' })
        return id
      },
      ...Object.keys(steps),
    ),
  ],
  [
    'no_change',
    true,
    [
      ...onEach(({ subscribe }) => subscribe('pro'), 'preview', 'change'),
      ...onEach(async ({ billing, subscribe }) => {
        const id = await subscribe()
        await billing.subscriptions.cancel(scope, id)
        return id
      }, 'cancel'),
    ],
  ],
  ['not_canceling', true, onEach(({ subscribe }) => subscribe(), 'resume')],
  [
    'cancellation_scheduled',
    true,
    (['preview', 'change'] as const).map((name) => async ({ billing, subscribe }) => {
      const id = await subscribe('pro')
      await billing.subscriptions.cancel(scope, id)
      return [`/subscriptions/${id}/${name}`, { plan: 'starter' }]
    }),
  ],
  [
    'payment_due',
    true,
    [
      ...onEach(unpaid, 'preview', 'change'),
      async (world) => {
        await unpaid(world)
        world.clock.advance(month)
        return ['/usage', { meter: 'requests', idempotencyKey: 'u1' }]
      },
    ],
  ],
  [
    'renewal_due',
    true,
    onEach(async ({ clock, subscribe }) => {
      const id = await subscribe()
      clock.advance(month)
      return id
    }, 'preview'),
  ],
  ['plan_required', true, [async () => ['/usage', { meter: 'emails', idempotencyKey: 'u1' }]]],
  ['feature_unavailable', true, [async () => ['/usage', { meter: 'exports', idempotencyKey: 'u1' }]]],
]

for (const target of httpTargets().filter(({ name }) => name.includes(' / without'))) {
  describe(`declared errors on ${target.name}`, () => {
    let server: HttpServer | undefined
    afterEach(() => server?.close())

    for (const [code, inProcess, all] of cases) {
      it.each(all.map((prepare, i) => [i, prepare] as const))(`${code} %i`, async (_, prepare) => {
        const made = world(inProcess)
        const { billing } = made
        server = await target.listen(
          mounted(billing.http, {
            express: () => express.billingRouter(billing, { context }),
            koa: () => koa.billingRouter(billing, { context }),
          }),
        )
        const [path, body] = await prepare(made)
        const answer = await request(server.url).post(path).send(body)
        expect([path, answer.body.code]).toEqual([path, code])
      })
    }
  })
}
