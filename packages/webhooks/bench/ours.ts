/** Ours among those who are measured: worker processes on one database. */
import type { TestDatabase } from '@org/core/testing'
import { begin, type Child } from './child.js'
import { type Contender, most } from './contender.js'
import { type BenchDatabase, openDatabase } from './database.js'
import { endpointCount } from './post.js'
import { checkDelivered, clear, layOutDue, seed } from './rows.js'
import type { OurWorker } from './worker-ours.js'

/** A worker process on the database. With `BENCH_PROFILE`, a folder, it leaves a profile of its processor time there. */
export async function openWorker({ config }: BenchDatabase): Promise<Child<OurWorker>> {
  const folder = process.env.BENCH_PROFILE
  const execArgv = folder ? ['--cpu-prof', `--cpu-prof-dir=${folder}`] : []
  const worker = begin<OurWorker>('worker-ours.ts', { execArgv })
  await worker.call('open', config)
  return worker
}

export async function closeWorker(worker: Child<OurWorker>): Promise<void> {
  await worker.call('close')
  await worker.end()
}

/** A database whose endpoints are at this URL and everything that is below it. */
export async function openOurs(target: TestDatabase, url: string): Promise<BenchDatabase> {
  const database = await openDatabase(target)
  const urls = Array.from({ length: endpointCount }, (_, n) => `${url}/${n}`)
  await seed(database, urls, Math.ceil(most / endpointCount))
  return database
}

/** So many worker processes, with so many sends at once each. */
export async function openWorkers(database: BenchDatabase, processes: number, concurrency: number): Promise<Contender> {
  const workers = await Promise.all(Array.from({ length: processes }, () => openWorker(database)))
  return {
    async layOut(count) {
      await clear(database)
      await layOutDue(database, count / endpointCount)
    },
    start: () => Promise.all(workers.map((worker) => worker.call('start', { concurrency }))),
    async stop(count) {
      await Promise.all(workers.map((worker) => worker.call('stop')))
      await checkDelivered(database, count)
    },
    async close() {
      for (const worker of workers) await closeWorker(worker)
    },
  }
}
