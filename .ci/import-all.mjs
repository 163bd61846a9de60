// Imports every entry point of the installed @org packages from ESM and from CommonJS, which must see the same names.
import { readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'

const require = createRequire(import.meta.url)
let count = 0
for (const name of readdirSync('node_modules/@org')) {
  const { exports } = JSON.parse(readFileSync(`node_modules/@org/${name}/package.json`, 'utf8'))
  for (const subpath of Object.keys(exports)) {
    if (subpath.endsWith('.json')) continue
    const entry = `@org/${name}${subpath.slice(1)}`
    const esm = Object.keys(await import(entry)).sort()
    const cjs = Object.keys(require(entry))
      .filter((key) => key !== '__esModule')
      .sort()
    if (esm.length === 0 || esm.join() !== cjs.join())
      throw new Error(`${entry}: ESM has [${esm}], CommonJS has [${cjs}]`)
    count++
  }
}
console.log(`${count} entry points import from ESM and from CommonJS`)
