/** `pnpm bench [core|rbac|webhooks|billing] [--json]`: each package's `bench/index.ts` exports its comparisons. */
import { existsSync } from 'node:fs'
import { type Comparison, compare } from './harness.js'

const json = process.argv.includes('--json')
const wanted = process.argv.slice(2).filter((word) => !word.startsWith('-'))
const packages = ['core', 'rbac', 'webhooks', 'billing'].filter((name) => wanted.length === 0 || wanted.includes(name))

let missed = 0
for (const name of packages) {
  const file = new URL(`../../${name}/bench/index.ts`, import.meta.url)
  if (!existsSync(file)) continue
  const { comparisons } = (await import(file.href)) as { comparisons: Comparison[] }
  for (const comparison of comparisons) {
    if (!json) process.stderr.write(`${comparison.bench} …\r`)
    const result = await compare(comparison)
    if (result.floor !== null && result.ratio < result.floor) missed++
    if (json) console.log(JSON.stringify(result))
    else {
      const floor =
        result.floor === null ? '' : ` (floor ${result.floor}${result.ratio < result.floor ? ', MISSED' : ''})`
      console.log(`${result.bench}: ${result.ratio} × ${result.reference}${floor}`)
      console.log(`    ${result.subject}: ${result.subjectRate}/s, ${result.reference}: ${result.referenceRate}/s`)
    }
  }
}
process.exitCode = missed > 0 ? 1 : 0
