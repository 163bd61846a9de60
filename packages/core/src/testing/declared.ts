/** Compares the problems that a module answers in a test with those that its OpenAPI document says it may. */
import type { RequestListener, ServerResponse } from 'node:http'
import { coreErrors, type ErrorFactory } from '../errors.js'
import { openapi } from '../http/openapi.js'
import type { HttpModule } from '../http/route.js'

export interface Watched {
  module: Pick<HttpModule, 'name' | 'routes'>
  /** What the test's `context` throws. It is the host's: no route can declare it. */
  contextErrors?: readonly ErrorFactory[] | undefined
}

export interface Watch {
  listen: RequestListener
  /** @throws Error that names each route and the problem that it answered without declaring it. */
  check(): void
}

/** On the wire, so that what stands before a handler is seen like the handler itself, on every framework. */
export function watchProblems(listen: RequestListener, prefix: string, { module, contextErrors = [] }: Watched): Watch {
  const routes = documented(module)
  const anywhere = new Set([...serverErrors, ...contextErrors].map(({ status, code }) => `${status} ${code}`))
  const undeclared = new Set<string>()
  return {
    listen(request, response) {
      // Read now: both frameworks cut the prefix off while they route.
      const { method, url = '' } = request
      const asked = `${method === 'HEAD' ? 'GET' : method} ${url.split('?', 1)[0]?.slice(prefix.length)}`
      onProblem(response, (problem) => {
        const route = routes.find(({ pattern }) => pattern.test(asked))
        if (!anywhere.has(problem) && !route?.problems.has(problem)) undeclared.add(`${route?.id ?? asked}: ${problem}`)
      })
      listen(request, response)
    },
    check() {
      if (undeclared.size === 0) return
      throw new Error(`Answered, but not in the OpenAPI document:\n${[...undeclared].sort().join('\n')}`)
    },
  }
}

/** A broken server or host may show itself anywhere. A feature's own 5xx must be declared like any other error. */
const serverErrors = Object.values(coreErrors).filter(({ status }) => status >= 500)

/** In the order of the table: the first that fits is the one that the routers take. */
function documented(module: Watched['module']) {
  const { paths } = openapi(module, { title: module.name, version: '0' }) as {
    paths: Record<string, Record<string, { responses: Record<string, { description: string }> }>>
  }
  return module.routes.map(({ id, method, path }) => {
    const operation = paths[path.replace(/:(\w+)/g, '{$1}')]?.[method.toLowerCase()]
    const problems = Object.entries(operation?.responses ?? {}).flatMap(([status, { description }]) =>
      description.split(', ').map((code) => `${status} ${code}`),
    )
    const pattern = new RegExp(`^${method} ${path.replace(/:\w+/g, '[^/]+')}/?$`)
    return { id, pattern, problems: new Set(problems) }
  })
}

/** Tells `409 last_owner` when a problem document is sent. */
function onProblem(response: ServerResponse, tell: (problem: string) => void): void {
  const { end } = response
  response.end = ((...sent: Parameters<typeof end>) => {
    const [body] = sent as unknown[]
    const type = String(response.getHeader('content-type'))
    // A HEAD is answered without a body.
    if (body && type.startsWith('application/problem+json')) {
      tell(`${response.statusCode} ${JSON.parse(String(body)).code}`)
    }
    return end.apply(response, sent)
  }) as typeof end
}
