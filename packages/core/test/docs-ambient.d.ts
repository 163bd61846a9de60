/** What a reader of the guides has already: the things that a host's app calls its own. */
import type { RequestContext as Context } from '@org/core'
import type { Rbac } from '@org/rbac'
import type { Webhooks } from '@org/webhooks'
import type { Express, Request as ExpressRequest } from 'express'
import type { Knex } from 'knex'

declare global {
  const knex: Knex
  const app: Express
  const rbac: Rbac
  const webhooks: Webhooks
  type Request = ExpressRequest
  type RequestContext = Context
  /** The host's own sign-in. */
  function signedIn(request: object): Promise<{ id: string; teamId: string; ability: Context['ability'] } | null>
}
