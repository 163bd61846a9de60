/** The one handler behind both routers: identity, right, input, work, output; an error at any step is a problem document. */
import { z } from 'zod'
import { authorize } from '../ability.js'
import type { RequestContext } from '../context.js'
import { coreErrors, parse } from '../errors.js'
import { onceForKey } from '../idempotency.js'
import { defaultBodyLimit, readJson, readRaw } from './body.js'
import { tellOfDenial } from './denied.js'
import { begin, complete, identify, requestInfo, withHeaders } from './identity.js'
import type { HttpRequest, HttpResponse, RouterOptions } from './message.js'
import { checkOrigin } from './origin.js'
import { problemResponse } from './problem.js'
import { type HttpModule, pathParameters, type Route, rawBody } from './route.js'
import { renderStream } from './stream.js'

type Options = Pick<RouterOptions<never>, 'bodyLimit' | 'trustedOrigins'>

/** Never rejects: whatever goes wrong becomes a response, and a 5xx goes to the module's logger. */
export async function handle(
  module: HttpModule,
  route: Route,
  request: HttpRequest,
  options: Options,
): Promise<HttpResponse> {
  let context: RequestContext | undefined
  try {
    context = await identified(route, request, options)
    if (Array.isArray(route.can)) authorize(context, ...(route.can as [string, string]))
    const input = await readInput(route, request, options.bodyLimit ?? defaultBodyLimit)
    return withHeaders(await answer(module, route, request, input, context), context)
  } catch (error) {
    await tellOfDenial(error, { context }, { route, request }, module.runtime.logger)
    return withHeaders(problemResponse(error, module.runtime.logger, { route: route.id }), context)
  }
}

async function identified(route: Route, request: HttpRequest, options: Options): Promise<RequestContext> {
  // A public handler is typed to see no more than the request's origin.
  if (route.can === 'public') return requestInfo(request) as RequestContext
  checkOrigin(request, route.method, options.trustedOrigins)
  return complete(request, begin(request, await identify(request)))
}

type Input = Parameters<Route['handler']>[0]

/** A filter that a route does not have must not look as if it were heeded. */
const noQuery = z.strictObject({})

async function readInput(route: Route, request: HttpRequest, limit: number): Promise<Input> {
  const { raw } = request
  const headers = raw.headers as Input['headers']
  const params = route.params ? parse(route.params, ownParameters(route, request.params)) : undefined
  const query = parse(route.query ?? noQuery, queryOf(raw.url ?? ''))
  if (route.body === rawBody) return { params, query, headers, body: await readRaw(request, limit) }
  const body = route.body ? parse(route.body, await readJson(request, limit)) : undefined
  return { params, query, headers, body }
}

/** Without those of a path that the router is mounted under. */
function ownParameters(route: Route, params: Record<string, string>): Record<string, string | undefined> {
  return Object.fromEntries(pathParameters(route.path).map((name) => [name, params[name]]))
}

/** Read from the URL itself: the frameworks' own query parsers differ. A repeated name becomes an array. */
function queryOf(url: string): Record<string, string | string[]> {
  const query: Record<string, string | string[]> = Object.create(null)
  const start = url.indexOf('?')
  const search = new URLSearchParams(start < 0 ? '' : url.slice(start + 1))
  for (const name of new Set(search.keys())) {
    const values = search.getAll(name)
    query[name] = values.length === 1 ? (values[0] ?? '') : values
  }
  return query
}

async function answer(
  module: HttpModule,
  route: Route,
  request: HttpRequest,
  input: Input,
  context: RequestContext,
): Promise<HttpResponse> {
  const key = request.raw.headers['idempotency-key']
  const work = (scope: RequestContext) => route.handler(input, scope).then((result) => render(route, result))
  if (route.streams) return renderStream(route, await route.handler(input, context), request.raw.method === 'HEAD')
  if (!route.idempotent || key === undefined) return work(context)

  const now = module.runtime.clock.now()
  const { tenantId, actor } = context
  const asked = [input.params, input.query, input.body]
  const once = { tenantId, actor, routeId: route.id, key: idempotencyKey(key), input: asked }
  const { response, replayed } = await module.storage.run(async ({ idempotency }, tx) => {
    return onceForKey(idempotency, once, now, async () => {
      const { status, body = '' } = await work({ ...context, tx })
      return { status, body: module.vault?.seal(body, tenantId) ?? body }
    })
  }, context.tx)
  const body = module.vault?.open(response.body, tenantId) ?? response.body
  const headers: Record<string, string> = { ...jsonHeaders }
  if (replayed) headers['idempotency-replayed'] = 'true'
  return { ...response, body, headers }
}

function idempotencyKey(value: string | string[]): string {
  if (typeof value === 'string' && value.length > 0 && value.length <= 255) return value
  throw coreErrors.invalid_input({
    errors: [{ pointer: '/headers/idempotency-key', detail: 'must be 1 to 255 characters, sent once' }],
  })
}

const jsonHeaders = { 'content-type': 'application/json; charset=utf-8', 'cache-control': 'no-store' }

function render(route: Route, result: unknown): HttpResponse & { body: string | undefined } {
  if (!route.response) return { status: route.status ?? 204, headers: { 'cache-control': 'no-store' }, body: undefined }
  const parsed = route.response.safeParse(result)
  if (!parsed.success) throw new Error(`The result of ${route.id} does not fit its schema: ${parsed.error.message}`)
  return { status: route.status ?? 200, headers: jsonHeaders, body: JSON.stringify(parsed.data) }
}
