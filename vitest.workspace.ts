import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

// Workspace packages are read from their sources, so that a test needs no build.
const source = { resolve: { conditions: ['@org/source'] }, ssr: { resolve: { conditions: ['@org/source', 'node'] } } }

// What is polled for comes soon; a busy machine may take its time.
const common = { testTimeout: 30_000, hookTimeout: 60_000, expect: { poll: { timeout: 10_000 } } }

/** They are dependencies of core alone. */
const old = (name: string) => fileURLToPath(new URL(`packages/core/node_modules/${name}`, import.meta.url))

export default defineConfig({
  ...source,
  test: {
    globalSetup: ['packages/core/test/report-missing.ts'],
    // Vitest leaves one core free, which is half of a small machine; tests of databases mostly wait.
    maxWorkers: 2,
    projects: [
      {
        ...source,
        test: {
          ...common,
          name: 'express 5, koa 3',
          env: { FRAMEWORKS: 'express 5, koa 3' },
          include: ['packages/*/test/**/*.test.ts', 'examples/*/test/**/*.test.ts'],
        },
      },
      {
        // The HTTP contracts once more on the majors that big hosts still run.
        ...source,
        resolve: {
          ...source.resolve,
          alias: [
            { find: /^express$/, replacement: old('express4') },
            { find: /^koa$/, replacement: old('koa2') },
            { find: /^@koa\/router$/, replacement: old('@koa/router12') },
          ],
        },
        test: {
          ...common,
          name: 'express 4, koa 2',
          env: { FRAMEWORKS: 'express 4, koa 2' },
          include: ['packages/*/test/**/*.http.test.ts'],
        },
      },
    ],
  },
})
