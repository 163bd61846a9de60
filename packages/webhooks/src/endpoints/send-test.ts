/** A message to one endpoint alone. */
import { checkId, checkScope, coreErrors, parse, type Scope } from '@org/core'
import type { z } from 'zod'
import type { Deps } from '../deps.js'
import { webhooksErrors } from '../errors.js'
import { testEventType } from '../event-types/catalog.js'
import type { EventTypeCatalog } from '../event-types/service.js'
import { createDrafting } from '../messages/draft.js'
import { SendTest, type TestSent } from './schema.js'

export function createSendTest(
  deps: Pick<Deps, 'storage' | 'runtime' | 'eventTypes' | 'schedule' | 'maxBodyBytes' | 'wake'>,
) {
  const { storage, eventTypes, wake } = deps
  const { messageOf, deliveryOf } = createDrafting(deps)

  return async (scope: Scope, endpointId: string, input?: SendTest): Promise<TestSent> => {
    const { tenantId, tx } = checkScope(scope)
    checkId(endpointId)
    const content = testContent(parse(SendTest, input), eventTypes)
    const draft = { ...content, tenantId, idempotencyKey: null, channels: null, orderingKey: null, coalesceKey: null }
    const sent = await storage.run(async (stores) => {
      const endpoint = await stores.endpoints.get(tenantId, endpointId)
      if (!endpoint) throw coreErrors.not_found()
      if (!endpoint.enabled) throw webhooksErrors.endpoint_disabled({ detail: 'Enable it before you test it.' })
      const message = { ...messageOf(draft), test: true }
      const delivery = deliveryOf(message, endpoint)
      await stores.messages.insertOrFind(message)
      await stores.deliveries.insert([delivery])
      return { messageId: message.id, deliveryId: delivery.id }
    }, tx)
    wake([endpointId])
    return sent
  }
}

function testContent(
  { type, data }: z.output<typeof SendTest>,
  eventTypes: EventTypeCatalog,
): { type: string; data: unknown } {
  if (type === undefined) return { type: testEventType, data: data ?? { message: 'This is a test.' } }
  return { type, data: eventTypes.parseData(type, data ?? eventTypes.example(type)) }
}
