/** What a guard finds out, when, and of whom; on both frameworks. */
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import { setImmediate as othersTurn } from 'node:timers/promises'
import { contextOf, coreErrors, type RequestContext } from '@org/core'
import { expressGuard } from '@org/core/express'
import { koaGuard } from '@org/core/koa'
import { type HttpServer, httpTargets, recordingLogger } from '@org/core/testing'
import type { Request } from 'express'
import type { Context } from 'koa'
import request from 'supertest'
import { afterEach, describe, expect, it } from 'vitest'

type Answered = Partial<RequestContext> | null | Promise<Partial<RequestContext> | null>

const anna = { tenantId: 'acme', actor: { type: 'user' as const, id: 'anna' }, ability: { can: () => true } }

let server: HttpServer | undefined
afterEach(async () => {
  await server?.close()
  server = undefined
})

for (const target of httpTargets().filter(({ name }) => name.includes(' / without'))) {
  describe(`a guard on ${target.name}`, () => {
    const logger = recordingLogger()

    async function serve(
      answer: (raw: IncomingMessage) => Answered,
      handler: (request: Request | Context, raw: IncomingMessage) => unknown,
      check: Parameters<typeof koaGuard>[1] & Parameters<typeof expressGuard>[1] = () => {},
      behindProxy = false,
    ) {
      const options = { logger, context: ({ req }: { req: IncomingMessage }) => answer(req) as RequestContext }
      server = await target.listen({
        express: (app, prefix) => {
          app.set('trust proxy', behindProxy ? 1 : false)
          const context = (req: Request) => options.context({ req })
          app.get(`${prefix}/guarded`, expressGuard({ logger, context }, check), (req, res, next) => {
            Promise.resolve(handler(req, req)).then((body) => res.json(body ?? null), next)
          })
        },
        koa: (app) => {
          Object.assign(app, { proxy: behindProxy, maxIpsCount: 1 })
          app.use(koaGuard(options, check))
          app.use(async (ctx) => {
            ctx.body = JSON.stringify((await handler(ctx, ctx.req)) ?? null)
            ctx.type = 'json'
          })
        },
      })
      return { http: request(server.url), url: new URL(server.url) }
    }

    it('tells where the request came from, as the host knows it and else as the framework does', async () => {
      let known: Partial<RequestContext> = {}
      const { http } = await serve(
        () => ({ ...anna, ...known }),
        (req) => contextOf(req as Request),
      )
      const ask = () => http.get('/guarded').set({ 'user-agent': 'test', 'x-request-id': 'r-1' })
      const plain = await ask().expect(200)
      expect(plain.body).toMatchObject({
        ip: expect.stringMatching(/127\.0\.0\.1$/),
        userAgent: 'test',
        requestId: 'r-1',
      })
      known = { ip: '203.0.113.9', userAgent: 'proxy', requestId: 'own' }
      expect((await ask().expect(200)).body).toMatchObject(known)
    })

    it('knows the address of a caller who hung up before the handler asked', async () => {
      let reached = () => {}
      const here = new Promise<void>((resolve) => {
        reached = resolve
      })
      let found: Promise<RequestContext | undefined> | undefined
      const { url } = await serve(
        () => anna,
        (req, raw) => {
          found = once(raw.socket, 'close').then(() => contextOf(req as Request))
          reached()
          return found
        },
      )
      const socket = connect(Number(url.port), url.hostname)
      socket.write('GET /guarded HTTP/1.1\r\nhost: x\r\n\r\n')
      await here
      socket.destroy()
      expect((await found)?.ip).toMatch(/127\.0\.0\.1$/)
    })

    it('knows the address that the request came with, whatever the handler sends on behind it', async () => {
      const { http } = await serve(
        () => anna,
        (req, raw) => {
          raw.headers['x-forwarded-for'] += ', 10.0.0.1'
          raw.headers['user-agent'] = 'changed'
          const { ip, userAgent } = contextOf(req as Request) ?? {}
          return { ip, userAgent }
        },
        undefined,
        true,
      )
      const asked = http.get('/guarded').set({ 'x-forwarded-for': '203.0.113.5', 'user-agent': 'test' })
      expect((await asked.expect(200)).body).toEqual({ ip: '203.0.113.5', userAgent: 'test' })
    })

    it('keeps who was checked, though the host answers everybody with the same object', async () => {
      const shared = { ...anna }
      const waiting = new Map<string, () => void>()
      const { http } = await serve(
        (raw) => Object.assign(shared, { actor: { type: 'user', id: raw.headers['x-user'] } }),
        async (req, raw) => {
          await new Promise<void>((go) => waiting.set(String(raw.headers['x-user']), go))
          return contextOf(req as Request)?.actor.id
        },
      )
      const ask = async (user: string) => {
        const { body } = await http.get('/guarded').set('x-user', user)
        return body
      }
      const ann = ask('ann')
      while (!waiting.has('ann')) await othersTurn()
      const bob = ask('bob')
      while (!waiting.has('bob')) await othersTurn()
      for (const go of waiting.values()) go()
      expect([await ann, await bob]).toEqual(['ann', 'bob'])
    })

    it('tells of a refusal whoever was refused, though the host answers everybody with the same object', async () => {
      const told: string[] = []
      const shared = { ...anna }
      const { http } = await serve(
        (raw) => Object.assign(shared, { onDenied: () => void told.push(String(raw.headers['x-user'])) }),
        () => null,
        async () => {
          Object.assign(shared, { onDenied: () => void told.push('somebody else') })
          throw coreErrors.forbidden()
        },
      )
      await http.get('/guarded').set('x-user', 'ann').expect(403)
      expect(told).toEqual(['ann'])
    })

    it('leaves the context of the host as it is, and answers one context to all who ask', async () => {
      const shared = Object.freeze({ ...anna })
      const { http } = await serve(
        () => shared,
        (req) => {
          const context = contextOf(req as Request)
          return [context === contextOf(req as Request), context !== shared, context?.ip !== undefined]
        },
      )
      const { body } = await http.get('/guarded').expect(200)
      expect(body).toEqual([true, true, true])
      expect(shared).toEqual(anna)
    })

    it('is known to the request that it let pass, and to none that was made of it', async () => {
      const { http } = await serve(
        () => anna,
        (_, raw) => {
          const inner = Object.create(raw, { url: { value: '/other' } }) as IncomingMessage
          return [contextOf(raw)?.actor.id, contextOf(inner)?.actor.id ?? null]
        },
      )
      expect((await http.get('/guarded').expect(200)).body).toEqual(['anna', null])
    })

    it('refuses whatever goes wrong, at once or later', async () => {
      const fail = (): never => {
        throw new Error('broken')
      }
      const broken: [Answered | (() => Answered), status: number][] = [
        [null, 401],
        [Promise.resolve(null), 401],
        [fail, 500],
        [async () => fail(), 500],
        [{ ...anna, tenantId: '' }, 500],
        [{ ...anna, tenantId: 'a\u0000b' }, 500],
        [Object.defineProperty({ ...anna }, 'ability', { get: fail }), 500],
        [Promise.resolve(Object.defineProperty({ ...anna }, 'responseHeaders', { get: fail })), 500],
      ]
      for (const [answer, status] of broken) {
        let reached = false
        const { http } = await serve(
          () => (typeof answer === 'function' ? answer() : answer),
          () => {
            reached = true
          },
        )
        await http.get('/guarded').expect(status)
        expect(reached).toBe(false)
        await server?.close()
      }
      for (const check of [fail, async () => fail()]) {
        const { http } = await serve(
          () => anna,
          () => 'reached',
          check,
        )
        await http.get('/guarded').expect(500)
        await server?.close()
      }
    })
  })
}
