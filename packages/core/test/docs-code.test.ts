/** Each TypeScript block of the README and of the shared guide compiles as it stands there, against the sources. */
import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'

const root = fileURLToPath(new URL('../../../', import.meta.url))
const folder = `${root}packages/core/.tmp/docs-code/`

/** The feature packages' guides show parts of samples instead, which their own tests run. */
const documents = ['README.md', 'docs/core/README.md']

it('the README says first what a newcomer asks first', () => {
  const readme = readFileSync(`${root}README.md`, 'utf8')
  expect(readme.match(/^#+ .*/gm)).toEqual([
    '# Modules for your existing Express or Koa app',
    '## See it work',
    '## Mount one module in an Express app',
    '## The same in a Koa app',
    '## The modules',
    '## Where to read on',
    '## Test it',
  ])
})

it('compiles', { timeout: 120_000 }, () => {
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  const blocks = documents.flatMap((file) =>
    [...readFileSync(root + file, 'utf8').matchAll(/```ts\n([\s\S]*?)```/g)].map((match, index) => ({
      name: `${file.replaceAll('/', '_')}_${index}.ts`,
      code: match[1] ?? '',
    })),
  )
  expect(blocks.length).toBeGreaterThan(5)
  for (const { name, code } of blocks) writeFileSync(folder + name, `${code}\nexport {}\n`)
  writeFileSync(`${folder}catalog.ts`, readFileSync(`${root}examples/express-gateway/src/catalog.ts`))
  writeFileSync(
    `${folder}tsconfig.json`,
    JSON.stringify({
      extends: '../../../../tsconfig.json',
      // A reader of a block has these already: what the host's app calls its own things.
      include: ['*.ts', '../../test/docs-ambient.d.ts'],
    }),
  )
  const { stdout } = spawnSync('node_modules/.bin/tsc', ['-p', folder, '--noEmit'], { cwd: root, encoding: 'utf8' })
  rmSync(folder, { recursive: true, force: true })
  expect(stdout).toBe('')
})
