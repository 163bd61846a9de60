import { defineResources } from './resources.js'

/** What an API gateway has, and what the three modules guard. Spread it to add resources of your own. */
export const predefinedResources = defineResources({
  keys: ['create', 'read', 'update', 'delete'],
  analytics: ['create', 'read', 'update', 'delete'],
  team: ['create', 'read', 'update', 'delete'],
  webhooks: ['create', 'read', 'update', 'delete'],
  billing: ['create', 'read', 'update', 'delete'],
  roles: ['create', 'read', 'update', 'delete'],
  policies: ['create', 'read', 'update', 'delete'],
  audit: ['create', 'read', 'update', 'delete'],
})
export type PredefinedResources = typeof predefinedResources
