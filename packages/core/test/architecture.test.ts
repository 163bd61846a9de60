/** Who may import whom, and what may be touched where. The rules are the house's; this is what enforces them. */
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const root = fileURLToPath(new URL('../../../', import.meta.url))
const features = ['rbac', 'webhooks', 'billing']

interface Source {
  /** `packages/rbac/src/index.ts` */
  path: string
  text: string
  imports: { from: string; typeOnly: boolean }[]
}

function sources(folder: string): Source[] {
  return readdirSync(root + folder, { recursive: true, encoding: 'utf8' })
    .filter((file) => /\.tsx?$/.test(file) && !/(^|\/)(node_modules|dist)\//.test(file))
    .map((file) => {
      const path = `${folder}/${file}`
      const text = readFileSync(root + path, 'utf8')
      return { path, text, imports: importsOf(text) }
    })
}

function importsOf(text: string): Source['imports'] {
  const found = text.matchAll(
    /^(?:import|export)\s+(type\s)?[^;'"]*?from\s+'([^']+)'|^import\s+'([^']+)'|import\('([^']+)'\)/gm,
  )
  return [...found].map(([, type, from, bare, dynamic]) => ({
    from: from ?? bare ?? dynamic ?? '',
    typeOnly: type !== undefined,
  }))
}

/** Every import that a rule forbids, as `path -> module`. */
function offenders(files: Source[], forbidden: (from: string, file: Source, typeOnly: boolean) => boolean): string[] {
  return files.flatMap((file) =>
    file.imports
      .filter(({ from, typeOnly }) => forbidden(from, file, typeOnly))
      .map(({ from }) => `${file.path} -> ${from}`),
  )
}

const all = ['core', ...features].flatMap((name) => sources(`packages/${name}/src`))
const production = all.filter(({ path }) => !/\/testing[./]/.test(path))

describe('imports', () => {
  it('are read by this test', () => {
    expect(all.length).toBeGreaterThan(30)
    expect(importsOf("import type { Knex } from 'knex'\nimport {\n  a,\n} from './b.js'")).toEqual([
      { from: 'knex', typeOnly: true },
      { from: './b.js', typeOnly: false },
    ])
  })

  it('of core name no feature, and a feature names no other', () => {
    const bad = offenders(all, (from, { path }) => {
      const own = path.split('/')[1]
      const target = /^@org\/(\w+)/.exec(from)?.[1]
      return target !== undefined && target !== 'core' && (own === 'core' || target !== own)
    })
    expect(bad).toEqual([])
  })

  it('of a framework stand only under the subpath that needs it', () => {
    const bad = offenders(production, (from, { path }) => {
      if (from === 'express') return !/\/express\.ts$/.test(path)
      if (from === 'koa' || from.startsWith('@koa/')) return !/\/koa\.ts$/.test(path)
      return false
    })
    expect(bad).toEqual([])
  })

  it('of Knex are types only', () => {
    expect(offenders(production, (from, _, typeOnly) => from === 'knex' && !typeOnly)).toEqual([])
  })

  it('of CASL stand only in rbac', () => {
    expect(offenders(all, (from, { path }) => from.startsWith('@casl/') && !path.startsWith('packages/rbac/'))).toEqual(
      [],
    )
  })

  it('keep the rules apart from SQL and HTTP: schema <- store <- service <- routes', () => {
    const below: Record<string, RegExp> = {
      'schema.ts': /(store|service|routes)\.js$|storage\/(?!port\.js)|knex|express|koa/,
      'store.ts': /(service|routes)\.js$|storage\/(?!port\.js)|knex|express|koa/,
      'service.ts': /routes\.js$|storage\/(?!port\.js)|knex|express|koa/,
      'routes.ts': /storage\/(?!port\.js)|knex|express|koa/,
    }
    const bad = offenders(production, (from, { path }) => {
      const forbidden = below[path.split('/').at(-1) ?? '']
      return forbidden?.test(from) ?? false
    })
    expect(bad).toEqual([])
  })

  it('of the examples are published entry points', () => {
    const bad = offenders(sources('examples'), (from) => /packages\/|\.\.\/\.\.\/|@org\/\w+\/(src|dist)/.test(from))
    expect(bad.filter((line) => !line.includes('/test/'))).toEqual([])
  })
})

describe('sources', () => {
  it('take time, chance, environment and the console from outside', () => {
    const ambient = /\bDate\.now\(\)|new Date\(\)|Math\.random|process\.env|\bconsole\./
    const bad = production.filter(({ path, text }) => ambient.test(text) && path !== 'packages/core/src/defaults.ts')
    expect(bad.map(({ path }) => path)).toEqual([])
  })

  it('stay short enough to read in one go', () => {
    const long = all.filter(({ text }) => text.split('\n').length > 400).map(({ path }) => path)
    expect(long).toEqual([])
  })
})
