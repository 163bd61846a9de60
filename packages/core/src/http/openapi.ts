/** The OpenAPI 3.1 document of a module, from its route table (https://spec.openapis.org/oas/v3.1.1). */
import { z } from 'zod'
import { coreErrors, type ErrorFactory, FieldError } from '../errors.js'
import { type HttpModule, type OutgoingWebhook, type Route, rawBody } from './route.js'

type Json = Record<string, unknown>

/** What any error looks like over HTTP (RFC 9457). */
export const Problem = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    code: z.string().describe('Match on this, never on text.'),
    detail: z.string().optional(),
    errors: z.array(FieldError).optional(),
  })
  .meta({ id: 'Problem' })

export interface OpenApiInfo {
  title: string
  version: string
  /** Where the router is mounted; `/` unless told. */
  serverUrl?: string
}

/** Schemas with an id (`.meta({ id })`) become components; the rest stay where they are used. */
export function openapi(module: Pick<HttpModule, 'name' | 'routes' | 'webhooks'>, info: OpenApiInfo): Json {
  const schemas: Json = {}
  const paths: Record<string, Json> = {}
  const schemaOf = (schema: z.ZodType, io: 'input' | 'output') => lift(schema, io, schemas)
  for (const route of module.routes) {
    const path = route.path.replace(/:(\w+)/g, '{$1}')
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operation(module.name, route, schemaOf) }
  }
  const webhooks = Object.entries(module.webhooks ?? {}).map(([name, webhook]) => [
    name,
    { post: outgoing(module.name, name, webhook, schemaOf) },
  ])
  schemaOf(Problem, 'output')
  return {
    openapi: '3.1.1',
    info: { title: info.title, version: info.version },
    servers: [{ url: info.serverUrl ?? '/' }],
    paths,
    ...(webhooks.length > 0 && { webhooks: Object.fromEntries(webhooks) }),
    components: { schemas },
  }
}

type SchemaOf = (schema: z.ZodType, io: 'input' | 'output') => Json

function operation(tag: string, route: Route, schemaOf: SchemaOf): Json {
  const status = route.status ?? (route.response || route.streams ? 200 : 204)
  const content = contentOf(route, schemaOf)
  return {
    operationId: route.id,
    tags: [tag],
    summary: route.summary,
    ...(route.description && { description: route.description }),
    ...(Array.isArray(route.can) && { 'x-permission': `${route.can[1]}:${route.can[0]}` }),
    ...(route.can === 'public' && { security: [] }),
    parameters: [
      ...parameters(route.params, 'path', schemaOf),
      ...parameters(route.query, 'query', schemaOf),
      ...idempotencyKey(route),
    ],
    ...requestBody(route, schemaOf),
    responses: { [status]: { description: 'Success', ...(content && { content }) }, ...problems(route) },
  }
}

/** A request that the module sends: the other side answers. */
function outgoing(tag: string, name: string, webhook: OutgoingWebhook, schemaOf: SchemaOf): Json {
  const { summary, body, example, headers, responses } = webhook
  return {
    operationId: `webhook:${name}`,
    tags: [tag],
    summary,
    parameters: Object.entries(headers).map(([header, description]) => ({
      name: header,
      in: 'header',
      required: true,
      description,
      schema: { type: 'string' },
    })),
    requestBody: { required: true, content: { 'application/json': { schema: schemaOf(body, 'output'), example } } },
    responses: Object.fromEntries(Object.entries(responses).map(([status, description]) => [status, { description }])),
  }
}

function contentOf({ response, streams }: Route, schemaOf: SchemaOf): Json | undefined {
  if (streams) return Object.fromEntries(streams.map((type) => [type, { schema: { type: 'string' } }]))
  return response && { 'application/json': { schema: schemaOf(response, 'output') } }
}

function parameters(schema: z.ZodType | undefined, where: 'path' | 'query', schemaOf: SchemaOf): Json[] {
  if (!schema) return []
  const { properties = {}, required = [] } = schemaOf(schema, 'input') as { properties?: Json; required?: string[] }
  return Object.entries(properties).map(([name, property]) => ({
    name,
    in: where,
    required: where === 'path' || required.includes(name),
    schema: property,
  }))
}

function idempotencyKey(route: Route): Json[] {
  if (!route.idempotent) return []
  const description = 'The same key with the same request answers the first answer again, for 24 hours.'
  return [{ name: 'Idempotency-Key', in: 'header', required: false, description, schema: { type: 'string' } }]
}

function requestBody(route: Route, schemaOf: SchemaOf): Json {
  if (route.body === rawBody) return { requestBody: { required: true, content: { 'application/json': {} } } }
  if (!route.body) return {}
  const required = !route.body.safeParse(undefined).success
  return { requestBody: { required, content: { 'application/json': { schema: schemaOf(route.body, 'input') } } } }
}

function problems(route: Route): Json {
  const possible = [...(route.errors ?? []), ...byConstruction(route)]
  const byStatus = new Map<number, Set<string>>()
  for (const { status, code } of possible) byStatus.set(status, (byStatus.get(status) ?? new Set()).add(code))
  const schema = { $ref: '#/components/schemas/Problem' }
  const entries = [...byStatus].sort(([a], [b]) => a - b)
  return Object.fromEntries(
    entries.map(([status, codes]) => [
      status,
      { description: [...codes].sort().join(', '), content: { 'application/problem+json': { schema } } },
    ]),
  )
}

/** What `handle` itself may answer, whatever the handler does. */
function byConstruction({ can, method, params, body, idempotent }: Route): ErrorFactory[] {
  // Every route refuses query parameters that it does not know.
  const possible: ErrorFactory[] = [coreErrors.invalid_input]
  if (can !== 'public') possible.push(coreErrors.unauthenticated)
  if (can !== 'public' && method !== 'GET') possible.push(coreErrors.cross_site_request)
  if (Array.isArray(can)) possible.push(coreErrors.forbidden)
  if (idempotent) possible.push(coreErrors.idempotency_conflict)
  if (params) possible.push(coreErrors.not_found)
  if (body) possible.push(coreErrors.incomplete_body, coreErrors.payload_too_large)
  // The bytes of a raw body are read as they are, whatever they are.
  if (body && body !== rawBody) possible.push(coreErrors.malformed_json, coreErrors.unsupported_media_type)
  return possible
}

/** Moves `$defs` to the components and points the references there. */
function lift(schema: z.ZodType, io: 'input' | 'output', components: Json): Json {
  const { $schema: _, $defs = {}, id, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: 'any' }) as Json
  const point = (value: unknown) =>
    JSON.parse(JSON.stringify(value).replaceAll('"#/$defs/', '"#/components/schemas/')) as Json
  for (const [name, definition] of Object.entries($defs as Json)) {
    const { id: _id, ...body } = definition as Json
    components[name] = point(body)
  }
  if (typeof id !== 'string') return point(rest)
  components[id] = point(rest)
  return { $ref: `#/components/schemas/${id}` }
}
