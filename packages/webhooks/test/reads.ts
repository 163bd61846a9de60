/** How much a database reads, for tests of what something costs. */
import type { Knex } from 'knex'

/** What the nodes of a plan that was carried out have answered, and what they have passed over. */
export function rowsIn(plan: readonly string[]): number {
  let loops = 1
  let sum = 0
  for (const line of plan) {
    const [, count, times] = /actual rows=([\d.]+) loops=(\d+)/.exec(line) ?? []
    if (times !== undefined) loops = Number(times)
    if (count !== undefined && line.includes('Scan')) sum += Number(count) * loops
    sum += Number(/Rows Removed by [\w ]+: (\d+)/.exec(line)?.[1] ?? 0) * loops
  }
  return sum
}

/** How many rows MariaDB reads for it, on a pool of one connection. */
export async function readsOf(knex: Knex, work: () => Promise<unknown>): Promise<number> {
  const read = async () => {
    const [found] = await knex.raw("show session status like 'Handler_read%'")
    return (found as { Value: string }[]).reduce((sum, { Value }) => sum + Number(Value), 0)
  }
  const before = await read()
  await work()
  return (await read()) - before
}
