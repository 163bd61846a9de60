/** Each TypeScript block in a README or a guide compiles as it stands there, against the packages' sources. */
import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'

const root = fileURLToPath(new URL('../../../', import.meta.url))
const folder = `${root}packages/core/.tmp/docs-code/`

function documents(): string[] {
  const under = (path: string) =>
    readdirSync(root + path, { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.md') && !file.includes('node_modules'))
      .map((file) => `${path}/${file}`)
  return ['README.md', ...under('docs'), ...under('packages')]
}

it('compiles', { timeout: 120_000 }, () => {
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  const blocks = documents().flatMap((file) =>
    [...readFileSync(root + file, 'utf8').matchAll(/```ts\n([\s\S]*?)```/g)].map((match, index) => ({
      name: `${file.replaceAll('/', '_')}_${index}.ts`,
      code: match[1] ?? '',
    })),
  )
  expect(blocks.length).toBeGreaterThan(10)
  for (const { name, code } of blocks) writeFileSync(folder + name, `${code}\nexport {}\n`)
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
