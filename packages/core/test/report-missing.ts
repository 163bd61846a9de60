import { testDatabases } from '../src/testing/index.js'

/** Says after the last test, where nobody can overlook it, which databases were not there. */
export default async function setup() {
  const missing = (await testDatabases()).filter((database) => database.missing)
  return () => {
    for (const { name, missing: reason } of missing) console.warn(`\nSKIPPED every ${name} test: ${reason}\n`)
  }
}
