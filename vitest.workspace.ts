import { defineConfig } from 'vitest/config'

// Workspace packages are read from their sources, so that a test needs no build.
const source = { resolve: { conditions: ['@org/source'] }, ssr: { resolve: { conditions: ['@org/source', 'node'] } } }

const common = { testTimeout: 30_000, hookTimeout: 60_000 }

export default defineConfig({
  ...source,
  test: {
    globalSetup: ['packages/core/test/report-missing.ts'],
    projects: [
      {
        ...source,
        test: {
          ...common,
          name: 'express 5, koa 3',
          include: ['packages/*/test/**/*.test.ts', 'examples/*/test/**/*.test.ts'],
        },
      },
      {
        // The HTTP contracts once more on the majors that big hosts still run.
        ...source,
        resolve: {
          ...source.resolve,
          alias: [
            { find: /^express$/, replacement: 'express4' },
            { find: /^koa$/, replacement: 'koa2' },
            { find: /^@koa\/router$/, replacement: '@koa/router12' },
          ],
        },
        test: { ...common, name: 'express 4, koa 2', include: ['packages/*/test/**/*.http.test.ts'] },
      },
    ],
  },
})
