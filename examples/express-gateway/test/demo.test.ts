/** The demo as it is told: its exit code is 0 only if every step came out. */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'

it('plays its story to the end', { timeout: 60_000 }, () => {
  const main = fileURLToPath(new URL('../src/demo/main.ts', import.meta.url))
  // From the sources, so that the tests need no build; `pnpm demo` runs the built packages.
  const args = ['--conditions=@org/source', '--import', 'tsx', main, '--once']
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8', timeout: 50_000 })
  expect(`${stdout}${stderr}`).toMatch(/\d\d steps came out as told, 0 did not/)
  expect(status).toBe(0)
})
