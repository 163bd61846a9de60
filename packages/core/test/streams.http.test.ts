/** Responses of any length, and what is told of a refusal, on both frameworks. */
import { once } from 'node:events'
import { get, type IncomingMessage } from 'node:http'
import {
  coreErrors,
  createRuntime,
  type DeniedAttempt,
  defineErrors,
  type HttpModule,
  memoryDatabase,
  memoryIdempotency,
  memoryUnitOfWork,
  openapi,
  type RequestContext,
  route,
  routesAbout,
  type StreamedBody,
} from '@org/core'
import { expressGuard, expressRouter } from '@org/core/express'
import { koaGuard, koaRouter } from '@org/core/koa'
import { type HttpServer, httpTargets, recordingLogger } from '@org/core/testing'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { z } from 'zod'

const own = defineErrors('notes', { too_many: { status: 403, title: 'Too many' } })
const part = 'x'.repeat(64 * 1024)

/** What the source was asked for, and whether it was told to end. */
interface Watch {
  made: number
  ended: Promise<void>
  end(): void
  /** For a source that waits before its first part. */
  opened: Promise<void>
  open(): void
}

function watch(): Watch {
  let end = () => {}
  const ended = new Promise<void>((resolve) => {
    end = resolve
  })
  let open = () => {}
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return { made: 0, ended, end, opened, open }
}

function streamsModule(logger: ReturnType<typeof recordingLogger>, watched: () => Watch): HttpModule {
  const runtime = createRuntime({ logger })
  const storage = memoryUnitOfWork(memoryDatabase(), (tx) => ({ idempotency: memoryIdempotency(new Map(), tx) }))
  async function* endless() {
    const seen = watched()
    try {
      for (;;) {
        seen.made++
        yield part
      }
    } finally {
      seen.end()
    }
  }
  async function* lines() {
    yield 'a,b\n'
    yield ''
    yield new TextEncoder().encode('é,2\n')
  }
  async function* broken(after: number) {
    for (let i = 0; i < after; i++) yield part
    throw new Error('the database is gone')
  }
  const streamed = (path: string, answer: () => StreamedBody) =>
    route({
      id: `notes.${path}`,
      method: 'GET',
      path: `/${path}`,
      summary: 'Stream',
      can: 'authenticated',
      streams: ['text/csv', 'application/octet-stream'],
      handler: async () => answer(),
    })
  async function* late() {
    const seen = watched()
    seen.made++
    try {
      await seen.opened
      yield part
    } finally {
      seen.end()
      // biome-ignore lint/correctness/noUnsafeFinally: a source may fail at this as at anything.
      throw new Error('the cursor cannot be closed')
    }
  }
  const routes = [
    streamed('late', () => ({ contentType: 'text/csv', body: late() })),
    streamed('lines', () => ({ contentType: 'text/csv', fileName: 'notes "é".csv', body: lines() })),
    streamed('none', () => ({ contentType: 'text/csv', body: (async function* () {})() })),
    streamed('endless', () => ({ contentType: 'application/octet-stream', body: endless() })),
    streamed('broken', () => ({ contentType: 'text/csv', body: broken(3) })),
    streamed('stillborn', () => ({ contentType: 'text/csv', body: broken(0) })),
    streamed('refused', () => {
      throw own.too_many({ detail: 'Not today.' })
    }),
    streamed('undeclared', () => ({ contentType: 'text/html', body: lines() })),
    route({
      id: 'notes.create',
      method: 'POST',
      path: '/notes',
      summary: 'Write a note',
      can: ['create', 'notes'],
      handler: async () => {},
    }),
    ...routesAbout('note', [
      route({
        id: 'notes.get',
        method: 'GET',
        path: '/notes/:id',
        summary: 'Read a note',
        can: ['read', 'notes'],
        params: z.object({ id: z.string() }),
        handler: async () => {},
      }),
    ]),
    route({
      id: 'notes.missing',
      method: 'GET',
      path: '/missing',
      summary: 'Find nothing',
      can: 'authenticated',
      handler: async () => {
        throw coreErrors.not_found()
      },
    }),
  ]
  return { name: 'notes', routes, runtime, storage }
}

for (const target of httpTargets().filter(({ name }) => name.includes('without'))) {
  describe(`streams on ${target.name}`, () => {
    const logger = recordingLogger()
    let seen = watch()
    let denied: DeniedAttempt[] = []
    let onDenied: RequestContext['onDenied']
    const module = streamsModule(logger, () => seen)
    const context = (): RequestContext => ({
      tenantId: 'acme',
      actor: { type: 'user', id: 'rita' },
      ability: { can: () => false },
      onDenied,
    })
    let server: HttpServer

    beforeAll(async () => {
      server = await target.listen({
        express(app, prefix) {
          app.get(`${prefix}/guarded`, expressGuard({ context, logger }, refuse))
          app.use(prefix || '/', expressRouter(module, { context }))
        },
        async koa(app, prefix) {
          const guard = koaGuard({ context, logger }, refuse)
          app.use((ctx, next) => (ctx.path === `${prefix}/guarded` ? guard(ctx, next) : next()))
          const { default: Router } = await import('@koa/router')
          app.use(new Router().use(prefix, koaRouter(module, { context }).routes()).routes())
        },
      })
    })
    afterAll(() => server.close())
    beforeEach(() => {
      logger.entries.length = 0
      seen = watch()
      denied = []
      onDenied = (attempt, { ip }) => {
        expect(ip).toMatch('127.0.0.1')
        denied.push(attempt)
      }
    })
    const refuse = async () => {
      throw coreErrors.forbidden({ extensions: { action: 'read', resource: 'things' } })
    }
    const open = async (path: string) => {
      const request = get(server.url + path)
      const [response] = (await once(request, 'response')) as [IncomingMessage]
      return { request, response }
    }

    it('send every part, as a file of that name', async () => {
      const response = await fetch(`${server.url}/lines`)
      expect(await response.text()).toBe('a,b\né,2\n')
      expect(response.headers.get('content-type')).toBe('text/csv; charset=utf-8')
      expect(response.headers.get('cache-control')).toBe('no-store')
      expect(response.headers.get('content-disposition')).toBe(
        `attachment; filename="notes ___.csv"; filename*=UTF-8''notes%20%22%C3%A9%22.csv`,
      )
      const empty = await fetch(`${server.url}/none`)
      expect([empty.status, await empty.text()]).toEqual([200, ''])
    })

    it('make no more than the client takes, and stop when it hangs up', async () => {
      const { request, response } = await open('/endless')
      await once(response, 'readable')
      // Nobody reads on: the source stands still as soon as the sockets are full.
      let before = -1
      while (before !== seen.made) {
        before = seen.made
        for (let turn = 0; turn < 200; turn++) await new Promise(setImmediate)
      }
      expect(seen.made).toBeLessThan(1000)
      request.destroy()
      await seen.ended
      expect(logger.entries).toEqual([])
    })

    it('end without a trace when the client is gone before the first part, also if the source fails at that', async () => {
      const rejected: unknown[] = []
      const reject = (error: unknown) => void rejected.push(error)
      process.on('unhandledRejection', reject)
      const request = get(`${server.url}/late`)
      request.on('error', () => {})
      const turns = async (n: number) => {
        for (let turn = 0; turn < n; turn++) await new Promise(setImmediate)
      }
      while (seen.made === 0) await turns(1)
      request.destroy()
      await turns(200)
      seen.open()
      await seen.ended
      await turns(20)
      process.off('unhandledRejection', reject)
      expect(rejected).toEqual([])
    })

    it('destroy the socket when the source fails midway, and log why', async () => {
      const { response } = await open('/broken')
      expect(response.statusCode).toBe(200)
      const read = async () => {
        for await (const _ of response);
      }
      await expect(read()).rejects.toThrow('aborted')
      expect(logger.entries.map(({ message, fields }) => [message, (fields.error as Error).message])).toEqual([
        ['A streamed response failed midway', 'the database is gone'],
      ])
    })

    it('are a problem document while nothing has been sent', async () => {
      const ask = async (path: string) => {
        const response = await fetch(server.url + path)
        return [response.status, ((await response.json()) as { code: string }).code]
      }
      expect(await ask('/stillborn')).toEqual([500, 'internal_error'])
      expect(await ask('/undeclared')).toEqual([500, 'internal_error'])
      expect(await ask('/refused')).toEqual([403, 'too_many'])
    })

    it('make nothing for a HEAD', async () => {
      const response = await fetch(`${server.url}/endless`, { method: 'HEAD' })
      expect([response.status, response.headers.get('content-type')]).toEqual([200, 'application/octet-stream'])
      expect(seen.made).toBe(0)
    })

    it('tell of each 403 to a known caller, and of nothing else', async () => {
      const status = async (path: string, init?: RequestInit) => (await fetch(server.url + path, init)).status
      expect(await status('/notes', { method: 'POST' })).toBe(403)
      expect(await status('/notes/n%2F1')).toBe(403)
      expect(await status('/refused')).toBe(403)
      expect(await status('/guarded')).toBe(403)
      expect(await status('/missing')).toBe(404)
      const crossSite = { method: 'POST', headers: { origin: 'https://evil.example' } }
      expect(await status('/notes', crossSite)).toBe(403)
      expect(denied).toEqual([
        {
          ...{ action: 'create', resource: 'notes', target: { type: 'notes' }, routeId: 'notes.create' },
          ...{ code: 'forbidden', detail: 'This needs the permission notes:create.' },
        },
        {
          ...{ action: 'read', resource: 'notes', target: { type: 'note', id: 'n/1' }, routeId: 'notes.get' },
          ...{ code: 'forbidden', detail: 'This needs the permission notes:read.' },
        },
        {
          ...{ action: undefined, resource: undefined, routeId: 'notes.refused', code: 'too_many' },
          detail: 'Not today.',
        },
        {
          ...{ action: 'read', resource: 'things', target: { type: 'things' }, routeId: undefined },
          ...{ code: 'forbidden', detail: undefined },
        },
      ])
    })

    it('answer the same when telling fails, and log that', async () => {
      onDenied = async () => {
        throw new Error('no log')
      }
      expect((await fetch(`${server.url}/notes`, { method: 'POST' })).status).toBe(403)
      expect(logger.entries.map(({ message }) => message)).toEqual(['A refused attempt could not be noted'])
    })
  })
}

it('a streamed route is in OpenAPI with its content types, and is neither kept nor parsed', () => {
  const module = streamsModule(recordingLogger(), watch)
  const { paths } = openapi(module, { title: 'Notes', version: '1' }) as { paths: Record<string, { get: unknown }> }
  expect(paths['/lines']?.get).toMatchObject({
    responses: { 200: { content: { 'text/csv': { schema: { type: 'string' } } } } },
  })
  const spec = { id: 'notes.bad', method: 'GET', path: '/bad', summary: '', can: 'authenticated' } as const
  const handler = async () => ({ contentType: 'text/csv', body: (async function* () {})() })
  expect(() => route({ ...spec, streams: ['text/csv'], idempotent: true, handler })).toThrow('notes.bad')
})
