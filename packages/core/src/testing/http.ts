/** Real servers for HTTP contracts: both frameworks, at the root and under a prefix, with and without a body parser. */
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import type KoaRouter from '@koa/router'
import type { Express, Router } from 'express'
import type Koa from 'koa'
import { type Watched, watchProblems } from './declared.js'

export interface HttpHost {
  /** What is mounted: to answer a problem that its OpenAPI document does not have makes `close` fail. */
  watched?: Watched
  /** Builds on the Express app; `prefix` is where the module is expected, `''` for the root. */
  express(app: Express, prefix: string): void
  /** Builds on the Koa app. */
  koa(app: Koa, prefix: string): void | Promise<void>
}

export interface HttpServer {
  /** With the prefix: `http://127.0.0.1:40123/api/module`. */
  url: string
  /** @throws Error if a route of what the host has `watched` answered a problem without declaring it. */
  close(): Promise<void>
}

export interface HttpTarget {
  name: string
  listen(host: HttpHost): Promise<HttpServer>
}

/**
 * All eight ways that a host may mount a module. Which major of Express and Koa they run on is for the test runner to
 * say, by what `express` and `koa` resolve to.
 */
export function httpTargets(): HttpTarget[] {
  return (['express', 'koa'] as const).flatMap((framework) =>
    ['', '/api/module'].flatMap((prefix) =>
      [false, true].map((parser) => ({
        name: `${framework} ${prefix || '/'} ${parser ? 'with' : 'without'} a body parser`,
        listen: async (host) => serve(await listener(framework, prefix, parser, host), prefix, host.watched),
      })),
    ),
  )
}

/** Mounts a module's routers of both frameworks where a target expects them, and watches what they answer. */
export function mounted(
  module: Watched['module'],
  routers: { express: () => Router; koa: () => KoaRouter },
  options: Omit<Watched, 'module'> = {},
): HttpHost {
  return {
    watched: { module, ...options },
    express: (app, prefix) => void app.use(prefix || '/', routers.express()),
    async koa(app, prefix) {
      const router = routers.koa()
      if (!prefix) return void app.use(router.routes())
      const { default: Parent } = await import('@koa/router')
      app.use(new Parent().use(prefix, router.routes()).routes())
    },
  }
}

async function listener(
  framework: 'express' | 'koa',
  prefix: string,
  parser: boolean,
  host: HttpHost,
): Promise<RequestListener> {
  if (framework === 'express') {
    const { default: express } = await import('express')
    const app = express()
    if (parser) app.use(express.json())
    host.express(app, prefix)
    return app
  }
  const { default: KoaApp } = await import('koa')
  const app = new KoaApp()
  app.silent = true
  if (parser) app.use((await import('@koa/bodyparser')).bodyParser())
  await host.koa(app, prefix)
  return app.callback()
}

async function serve(listen: RequestListener, prefix: string, watched: Watched | undefined): Promise<HttpServer> {
  const watch = watched && watchProblems(listen, prefix, watched)
  const server = createServer(watch?.listen ?? listen)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}${prefix}`,
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
      watch?.check()
    },
  }
}
