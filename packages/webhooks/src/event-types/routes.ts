import { pageOf, type Route, route } from '@org/core'
import { EventTypeView } from './schema.js'
import type { EventTypeCatalog } from './service.js'

export function eventTypeRoutes(eventTypes: EventTypeCatalog): Route[] {
  return [
    route({
      id: 'webhooks.listEventTypes',
      method: 'GET',
      path: '/event-types',
      summary: 'List the event types, each with the JSON Schema of its data',
      can: ['read', 'webhooks'],
      response: pageOf(EventTypeView),
      handler: async () => ({ data: eventTypes.list(), next: null }),
    }),
  ]
}
