/** A route is data: the routers of both frameworks and the OpenAPI document come from the same table. */
import { z } from 'zod'
import type { RequestContext, RequestInfo } from '../context.js'
import type { ErrorFactory } from '../errors.js'
import type { IdempotencyStore } from '../idempotency.js'
import type { Runtime } from '../runtime.js'
import type { Storage } from '../storage.js'
import type { StreamedBody } from './stream.js'

/**
 * Who may call it: an action on a subject, as CASL reads it; any identified caller; or anyone at all.
 * It is never left out.
 */
export type Guard = readonly [action: string, subject: string] | 'authenticated' | 'public'

type Schema = z.ZodType
type Out<S> = S extends Schema ? z.output<S> : undefined
type In<S> = S extends Schema ? z.input<S> : undefined
type ContextOf<G> = G extends 'public' ? RequestInfo : RequestContext

/** A body that is not parsed: the handler gets the very bytes that were sent, for a signature to be checked. */
export const rawBody = Symbol('rawBody')

export interface RouteInput<Params, Query, Body> {
  params: Out<Params>
  query: Out<Query>
  body: Body extends typeof rawBody ? Buffer : Out<Body>
  headers: Readonly<Record<string, string | undefined>>
}

export interface RouteSpec<G extends Guard, Params, Query, Body, Response, Streams = undefined> {
  /** Unique over all modules: `webhooks.createEndpoint`. Also the OpenAPI operation id. */
  id: string
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** Relative to where the router is mounted: `/endpoints/:id`. */
  path: string
  summary: string
  description?: string
  can: G
  /** What its path names, by the word of its events' `resource`: `endpoint`. A refusal is told as one over it. */
  about?: string
  params?: Params
  query?: Query
  body?: Body
  /** 200 unless told; 204 without a `response`. */
  status?: number
  /**
   * Honours `Idempotency-Key`: the response is kept as it is for 24 hours, in the database. Not for a route whose
   * response holds a secret that is otherwise only kept hashed.
   */
  idempotent?: boolean
  /** The only fields that can leave: the result is always parsed with it. */
  response?: Response
  /**
   * Instead of `response`: the content types of which the handler answers one, as a {@link StreamedBody} of any length.
   * It is not parsed by a schema: the handler itself says what may leave.
   */
  streams?: Streams
  /** Errors of this route beyond those that any route can answer with. */
  errors?: readonly ErrorFactory[]
  handler(
    input: RouteInput<Params, Query, Body>,
    context: ContextOf<G>,
  ): Promise<Streams extends readonly string[] ? StreamedBody : Response extends Schema ? In<Response> : void>
}

/** A route whose types have been erased, as the routers walk it. */
export interface Route
  extends Omit<RouteSpec<Guard, Schema, Schema, Schema | typeof rawBody, Schema, readonly string[]>, 'handler'> {
  handler(
    input: { params: unknown; query: unknown; body: unknown; headers: Readonly<Record<string, string | undefined>> },
    context: RequestContext & RequestInfo,
  ): Promise<unknown>
}

/**
 * Checks that the handler fits its schemas. @throws Error if the path's parameters are not those of the schema, or if a
 * streamed route has a `response` or is idempotent.
 */
export function route<
  const G extends Guard,
  Params extends Schema | undefined = undefined,
  Query extends Schema | undefined = undefined,
  Body extends Schema | typeof rawBody | undefined = undefined,
  Response extends Schema | undefined = undefined,
  const Streams extends readonly string[] | undefined = undefined,
>(spec: RouteSpec<G, Params, Query, Body, Response, Streams>): Route {
  if (spec.streams && (spec.response || spec.idempotent)) {
    throw new Error(`${spec.id}: what is streamed has no schema, and cannot be kept to be answered again`)
  }
  const declared = spec.params instanceof z.ZodObject ? Object.keys(spec.params.shape) : []
  if (pathParameters(spec.path).sort().join() !== declared.sort().join()) {
    throw new Error(`${spec.id}: the path ${spec.path} does not have the parameters ${declared.join(', ')}`)
  }
  // The one place where a handler's types are erased: `handle` parses with the very schemas they were inferred from.
  return spec as unknown as Route
}

/** The same routes, told to be about things of this type: see {@link RouteSpec.about}. */
export function routesAbout(type: string, routes: readonly Route[]): Route[] {
  return routes.map((one) => ({ about: type, ...one }))
}

/** The names in `/endpoints/:id`. */
export function pathParameters(path: string): string[] {
  return [...path.matchAll(/:(\w+)/g)].map(([, name]) => name ?? '')
}

/** A request that a module sends to somebody else, for its OpenAPI document. */
export interface OutgoingWebhook {
  summary: string
  body: z.ZodType
  example: unknown
  /** What each header says, by name. */
  headers: Readonly<Record<string, string>>
  /** What each answer means to the sender, by status or `default`. */
  responses: Readonly<Record<string, string>>
}

/** What a module hands to the routers and to OpenAPI. */
export interface HttpModule {
  /** `rbac`, `webhooks`, `billing`. */
  name: string
  routes: readonly Route[]
  runtime: Runtime
  /** Where the module keeps its things, and with them the idempotency keys of its routes. */
  storage: Storage<{ idempotency: IdempotencyStore }>
  /** What it sends by itself, by name. */
  webhooks?: Readonly<Record<string, OutgoingWebhook>>
  /** Keeps the answers that are kept for an `Idempotency-Key` sealed, if they may hold secrets; `context` binds them. */
  vault?: { seal(plain: string, context: string): string; open(stored: string, context: string): string }
}
