/** The servers of the tests notice a route that answers what it does not declare. */
import { coreErrors, createRuntime, defineErrors, type HttpModule, type RequestContext, route } from '@org/core'
import { expressRouter } from '@org/core/express'
import { koaRouter } from '@org/core/koa'
import { httpTargets, mounted, recordingLogger } from '@org/core/testing'
import { expect, it } from 'vitest'
import { z } from 'zod'

const errors = defineErrors('shelf', {
  full: { status: 409, title: 'The shelf is full' },
  locked: { status: 409, title: 'The shelf is locked' },
  on_fire: { status: 503, title: 'The shelf is on fire' },
})

/** `shelf.fail` says that it may answer `full`, and answers whatever its path asks for. */
function shelfModule(): HttpModule {
  const all = { ...errors, ...coreErrors }
  const routes = [
    route({
      id: 'shelf.look',
      method: 'GET',
      path: '/shelf',
      summary: 'Take no input at all',
      can: 'public',
      handler: async () => {},
    }),
    route({
      id: 'shelf.fail',
      method: 'POST',
      path: '/shelf/:code',
      summary: 'Fail as told',
      can: 'authenticated',
      params: z.strictObject({ code: z.string() }),
      errors: [errors.full],
      handler: async ({ params }) => {
        throw all[params.code as keyof typeof all]()
      },
    }),
  ]
  const storage = { run: () => Promise.reject(new Error('not asked')) } as unknown as HttpModule['storage']
  return { name: 'shelf', routes, runtime: createRuntime({ logger: recordingLogger() }), storage }
}

const plain: RequestContext = { tenantId: 'acme', actor: { type: 'user', id: 'rita' }, ability: { can: () => false } }

for (const target of httpTargets()) {
  it(`on ${target.name}`, async () => {
    const module = shelfModule()
    const context = (request: { headers: object }) => {
      if ('x-locked' in request.headers) throw errors.locked()
      return plain
    }
    const routers = { express: () => expressRouter(module, { context }), koa: () => koaRouter(module, { context }) }
    const closed = async (asked: string[], options = {}, headers = {}) => {
      const server = await target.listen(mounted(module, routers, options))
      for (const path of asked) {
        const method = path.startsWith('shelf?') ? 'GET' : 'POST'
        await fetch(`${server.url}/${path}`, { method, headers })
      }
      return server.close().then(
        () => 'in peace',
        (error: Error) => error.message.split('\n').slice(1),
      )
    }
    const known = [
      'shelf/full',
      'shelf/not_found',
      'shelf/full?unknown=1',
      'shelf?unknown=1',
      'shelf/not_migrated',
      'shelf/busy',
      'elsewhere',
    ]
    expect(await closed(known)).toBe('in peace')
    expect(await closed(['shelf/locked', 'shelf/full', 'shelf/locked?', 'shelf/on_fire', 'shelf/forbidden'])).toEqual([
      'shelf.fail: 403 forbidden',
      'shelf.fail: 409 locked',
      'shelf.fail: 503 on_fire',
    ])
    expect(await closed(['shelf/full'], {}, { 'x-locked': 'yes' })).toEqual(['shelf.fail: 409 locked'])
    expect(await closed(['shelf/full'], { contextErrors: [errors.locked] }, { 'x-locked': 'yes' })).toBe('in peace')
  })
}
