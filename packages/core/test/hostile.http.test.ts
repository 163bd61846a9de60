/** What a reviewer broke once, and must stay mended: HTTP, on both frameworks. */
import { connect } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import type { RequestContext } from '@org/core'
import { expressRouter } from '@org/core/express'
import { koaRouter } from '@org/core/koa'
import { type HttpServer, httpTargets, mounted, recordingLogger } from '@org/core/testing'
import type { Express } from 'express'
import type Koa from 'koa'
import request from 'supertest'
import { afterEach, describe, expect, it } from 'vitest'
import { notesModule } from './notes-module.js'

const actor = { type: 'user' as const, id: 'anna' }
const ability = { can: () => true }
const plain = { tenantId: 'acme', actor, ability }

let server: HttpServer | undefined
afterEach(async () => {
  await server?.close()
  server = undefined
})

/** One of each framework, at the root, without a parser. */
const targets = httpTargets().filter(({ name }) => name.includes(' / without'))

for (const target of targets) {
  describe(target.name, () => {
    async function serve(context: (request: { headers: object }) => unknown, logger = recordingLogger()) {
      const module = notesModule(logger)
      const options = { context: context as () => RequestContext }
      server = await target.listen(
        mounted(module, { express: () => expressRouter(module, options), koa: () => koaRouter(module, options) }),
      )
      return { http: request(server.url), module, logger, url: new URL(server.url) }
    }

    it('keeps the tenant of a context that answers by getters', async () => {
      class Session {
        readonly #tenant: string
        constructor(tenant: string) {
          this.#tenant = tenant
        }
        get tenantId() {
          return this.#tenant
        }
        get actor() {
          return actor
        }
        get ability() {
          return ability
        }
      }
      const { http } = await serve((req) => new Session(String((req.headers as Record<string, string>)['x-tenant'])))
      await http.post('/notes').set('x-tenant', 'acme').send({ text: 'secret' }).expect(201)
      const theirs = await http.get('/notes').set('x-tenant', 'globex').expect(200)
      expect(theirs.body.data).toEqual([])
    })

    it('takes a thrown 401 or 403, and false, for what they say', async () => {
      const refuse = (status: number) => Object.assign(new Error('no'), { status })
      const answers: Record<string, () => unknown> = {
        a: () => {
          throw refuse(401)
        },
        b: () => {
          throw refuse(403)
        },
        c: () => false,
        d: () => {
          throw refuse(500)
        },
      }
      const { http } = await serve((req) => answers[(req.headers as Record<string, string>)['x-case'] ?? '']?.())
      for (const [which, status] of Object.entries({ a: 401, b: 403, c: 401, d: 500 })) {
        await http.get('/notes').set('x-case', which).expect(status)
      }
    })

    it('lets go of a request whose caller hung up while the context was being found', async () => {
      let entered = 0
      let ended = 0
      const logger = recordingLogger()
      const module = notesModule(logger)
      const context = async () => {
        entered++
        await delay(50)
        return plain
      }
      const build = mounted(module, {
        express: () => expressRouter(module, { context }),
        koa: () => koaRouter(module, { context }),
      })
      server = await target.listen({
        express(app: Express, prefix) {
          build.express(app, prefix)
          app.use((_error: unknown, _request: unknown, _response: unknown, next: () => void) => next())
        },
        async koa(app: Koa, prefix) {
          app.use(async (_, next) => {
            await next()
            ended++
          })
          await build.koa(app, prefix)
        },
      })
      const { hostname, port } = new URL(server.url)
      for (let i = 0; i < 3; i++) {
        const socket = connect(Number(port), hostname)
        socket.write(
          'POST /notes HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 50\r\n\r\n{"te',
        )
        await until(() => entered === i + 1)
        socket.destroy()
      }
      // Only Koa's middleware can tell that the handler behind it has ended.
      if (target.name.startsWith('koa')) await until(() => ended === 3)
      expect(module.notes).toEqual([])
      expect(logger.entries).toEqual([])
    })

    it('survives an answer that the host has already given', async () => {
      const module = notesModule(recordingLogger())
      let found = 0
      const context = async () => {
        await delay(5)
        found++
        return plain
      }
      const build = mounted(module, {
        express: () => expressRouter(module, { context }),
        koa: () => koaRouter(module, { context }),
      })
      server = await target.listen({
        express(app: Express, prefix) {
          app.use((_request, response, next) => {
            response.status(503).end('too slow')
            next()
          })
          build.express(app, prefix)
        },
        async koa(app: Koa, prefix) {
          app.use(async (ctx, next) => {
            ctx.res.statusCode = 503
            ctx.res.end('too slow')
            await next()
          })
          await build.koa(app, prefix)
        },
      })
      for (let i = 1; i <= 3; i++) {
        await request(server.url).get('/notes').expect(503)
        await until(() => found === i)
      }
    })

    it('mounts under a parameter, which the context can read', async () => {
      const module = notesModule(recordingLogger())
      const org = ({ params }: { params?: Record<string, unknown> }) => ({ ...plain, tenantId: String(params?.org) })
      server = await target.listen({
        express: (app) => void app.use('/orgs/:org', expressRouter(module, { context: org })),
        async koa(app) {
          const { default: Router } = await import('@koa/router')
          app.use(
            new Router()
              .use('/orgs/:org', koaRouter(module, { context: (ctx) => org({ params: ctx.params }) }).routes())
              .routes(),
          )
        },
      })
      const http = request(server.url)
      const { body } = await http.post('/orgs/acme/notes').send({ text: 'x' }).expect(201)
      expect(module.notes[0]?.tenantId).toBe('acme')
      await http.delete(`/orgs/globex/notes/${body.id}`).expect(404)
      await http.delete(`/orgs/acme/notes/${body.id}`).expect(204)
    })

    it('knows its own origin behind a proxy that the app trusts, and only there', async () => {
      const module = notesModule(recordingLogger())
      for (const [trusted, status] of [
        [true, 201],
        [false, 403],
      ] as const) {
        const options = { context: () => plain }
        const build = mounted(module, {
          express: () => expressRouter(module, options),
          koa: () => koaRouter(module, options),
        })
        server = await target.listen({
          express(app, prefix) {
            app.set('trust proxy', trusted)
            build.express(app, prefix)
          },
          async koa(app, prefix) {
            app.proxy = trusted
            await build.koa(app, prefix)
          },
        })
        const forwarded = {
          'x-forwarded-host': 'app.example',
          'x-forwarded-proto': 'https',
          origin: 'https://app.example',
        }
        await request(server.url).post('/notes').set(forwarded).send({ text: 'x' }).expect(status)
        await server.close()
      }
      server = undefined
    })

    it('reads a query as it is written', async () => {
      const { http } = await serve(() => plain)
      const { body } = await http.get('/notes?limit=a?b=c&__proto__=1&__proto__=2').expect(422)
      expect(body.errors.map((error: { pointer: string }) => error.pointer).sort()).toEqual(['/__proto__', '/limit'])
    })

    it('answers 422 for a forged cursor', async () => {
      const { http } = await serve(() => plain)
      for (const forged of ['["\\u0000"]', '[1.5]', '[1e400]', '[{}]', '[]', '["a","b"]']) {
        const cursor = Buffer.from(forged).toString('base64url')
        await http.get(`/notes?cursor=${cursor}`).expect(422)
      }
    })
  })
}

async function until(holds: () => boolean): Promise<void> {
  for (let i = 0; i < 400 && !holds(); i++) await delay(5)
  expect(holds()).toBe(true)
}
