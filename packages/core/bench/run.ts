/** `pnpm bench [core|rbac|webhooks|billing] [--json]`: each package's `bench/index.ts` exports its comparisons. */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { type Comparison, compare, type Experiment, type Measured, type Result } from './harness.js'

const json = process.argv.includes('--json')
/** Measures one comparison, in the process of another run. */
const only = process.argv.find((word) => word.startsWith('--only='))?.slice('--only='.length)
const wanted = process.argv.slice(2).filter((word) => !word.startsWith('-'))
const packages = ['core', 'rbac', 'webhooks', 'billing'].filter((name) => wanted.length === 0 || wanted.includes(name))

async function measure(name: string, comparison: Comparison): Promise<Result> {
  const { bench, processes = 1 } = comparison
  if (only || processes === 1) return compare(comparison)
  const results: Result[] = []
  const args = [...process.execArgv, fileURLToPath(import.meta.url), name, '--json', `--only=${bench}`]
  while (results.length < processes) {
    // A missed floor is for us to tell.
    const { stdout } = await promisify(execFile)(process.execPath, args).catch((error: { stdout?: string }) => {
      if (!error.stdout) throw error
      return { stdout: error.stdout }
    })
    results.push(JSON.parse(stdout))
  }
  return results.sort((a, b) => a.ratio - b.ratio)[processes >> 1] as Result
}

function isMissed(measured: Measured): boolean {
  return 'ratio' in measured && measured.floor !== null && measured.ratio < measured.floor
}

function linesOf(measured: Measured): string[] {
  const { bench, subject } = measured
  if ('figures' in measured) {
    const figures = Object.entries(measured.figures).map(([name, figure]) => `${name} ${figure}`)
    return [`${bench}: ${figures.join(', ')}`, `    ${subject}`]
  }
  const { ratio, reference, floor } = measured
  const judged = floor === null ? '' : ` (floor ${floor}${isMissed(measured) ? ', MISSED' : ''})`
  return [
    `${bench}: ${ratio} × ${reference}${judged}`,
    `    ${subject}: ${measured.subjectRate}/s, ${reference}: ${measured.referenceRate}/s`,
  ]
}

let missed = 0
for (const name of packages) {
  const file = new URL(`../../${name}/bench/index.ts`, import.meta.url)
  if (!existsSync(file)) continue
  const { comparisons } = (await import(file.href)) as { comparisons: (Comparison | Experiment)[] }
  for (const comparison of comparisons) {
    if (only && comparison.bench !== only) continue
    if (!json) process.stderr.write(`${comparison.bench} …\r`)
    const results = 'measure' in comparison ? await comparison.measure() : [await measure(name, comparison)]
    for (const result of results) {
      if (isMissed(result)) missed++
      console.log(json ? JSON.stringify(result) : linesOf(result).join('\n'))
    }
  }
}
process.exitCode = missed > 0 ? 1 : 0
