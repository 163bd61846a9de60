import type { Emit } from '@org/core'
import {
  type ClaimRequest,
  createWebhooks,
  type Delivered,
  type DeliveryStore,
  type Due,
  defaultEventTypes,
  defineEventTypes,
  type EncryptionOptions,
  type EndpointStore,
  type Health,
  type MessageSource,
  type MessageStore,
  memoryStorage,
  type OutgoingHooks,
  type OutgoingMessage,
  type SentMessage,
  type WebhookEvent,
  type Webhooks,
  type WebhooksOptions,
  type WebhooksStorage,
  type webhooksEvents,
} from '@org/webhooks'
import { describe, expectTypeOf, it } from 'vitest'
import { z } from 'zod'

const eventTypes = defineEventTypes({
  ...defaultEventTypes,
  'order.paid': z.object({ orderId: z.string(), total: z.number() }),
})

describe('publish', () => {
  it('is typed by the catalogue', () => {
    const webhooks = createWebhooks({ eventTypes, storage: memoryStorage() })
    type Input = Parameters<typeof webhooks.publish>[0]
    expectTypeOf<Input['type']>().toEqualTypeOf<keyof typeof eventTypes>()
    expectTypeOf<Extract<Input, { type: 'order.paid' }>['data']>().toEqualTypeOf<{ orderId: string; total: number }>()
    const publish = (input: Input) => input
    publish({ tenantId: 't1', type: 'order.paid', data: { orderId: 'o1', total: 1 } })
    publish({ tenantId: 't1', type: 'key.created', data: { keyId: 'key_1', further: true } })
    // @ts-expect-error there is no such type
    publish({ tenantId: 't1', type: 'order.lost', data: {} })
    // @ts-expect-error the data is another type's
    publish({ tenantId: 't1', type: 'order.paid', data: { keyId: 'key_1' } })
  })

  it('knows the default types without options', () => {
    const webhooks: Webhooks = createWebhooks({ storage: memoryStorage() })
    expectTypeOf<Parameters<typeof webhooks.publish>[0]['type']>().toEqualTypeOf<keyof typeof defaultEventTypes>()
  })
})

describe('events', () => {
  it('are typed by their catalog', () => {
    type Draft = Parameters<Emit<typeof webhooksEvents>>[1]
    const draft = (input: Draft) => input
    const data = { deliveryId: 'del_1', messageId: 'msg_1', endpointId: 'ep_1', eventType: 'key.created' }
    draft({ type: 'delivery.canceled', data })
    // @ts-expect-error there is no such event
    draft({ type: 'delivery.lost', data })
  })
})

describe('what is exported', () => {
  it('names the types of the options', () => {
    expectTypeOf<WebhooksOptions['encryption']>().toEqualTypeOf<EncryptionOptions | undefined>()
    expectTypeOf<WebhooksOptions['transform']>().toEqualTypeOf<OutgoingHooks['transform']>()
    expectTypeOf<OutgoingMessage>().toEqualTypeOf<Parameters<NonNullable<OutgoingHooks['transform']>>[0]>()
  })

  it('names what a storage takes and answers', () => {
    expectTypeOf<ReturnType<EndpointStore['health']>>().resolves.toEqualTypeOf<Health[]>()
    expectTypeOf<ReturnType<DeliveryStore['agenda']>>().resolves.toEqualTypeOf<Due[]>()
    expectTypeOf<Parameters<DeliveryStore['finishDelivered']>[0]>().toEqualTypeOf<readonly Delivered[]>()
    expectTypeOf<Parameters<DeliveryStore['claim']>[0]>().toEqualTypeOf<ClaimRequest>()
    expectTypeOf<ReturnType<MessageStore['byIds']>>().resolves.toEqualTypeOf<SentMessage[]>()
    expectTypeOf<WebhooksStorage['wakeUps']>().toEqualTypeOf<MessageSource | undefined>()
  })

  it('does not hand out what opens secrets', () => {
    expectTypeOf<Webhooks['http']>().not.toHaveProperty('vault')
  })
})

describe('what a receiver gets', () => {
  it('is told apart by its type', () => {
    const handle = (event: WebhookEvent<typeof eventTypes>) => {
      if (event.type === 'order.paid') {
        expectTypeOf(event.data).toEqualTypeOf<{ orderId: string; total: number }>()
        // @ts-expect-error there is no such field
        event.data.keyId
      }
      // @ts-expect-error there is no such type
      return event.type === 'order.lost'
    }
    handle({ type: 'order.paid', timestamp: '2026-01-01T00:00:00Z', data: { orderId: 'o1', total: 1 } })
  })
})
