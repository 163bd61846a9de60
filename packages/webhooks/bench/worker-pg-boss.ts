/**
 * pg-boss 10 that sends the same POST. Its own `work` fetches no sooner than every half second; loops of fetch, send,
 * complete do as much as it can.
 */
import PgBoss from 'pg-boss'
import { answer } from './child.js'
import type { ContenderMethods } from './contender.js'
import { concurrency, createPost, type Job, jobOf } from './post.js'

const connectionString = process.env.TEST_POSTGRES_URL ?? 'postgres://postgres@127.0.0.1:5432/test'
const schema = `bench_boss_${process.pid}`
const queue = 'deliver'
const bulk = 1_000
/** Together these send as many at once as everybody; of the sizes that were tried, the fastest. */
const loops = 2
const sendsPerLoop = concurrency / loops
const batchSize = 500

let sender: ReturnType<typeof createPost>
let boss: PgBoss
let running: Promise<unknown> = Promise.resolve()

async function loop(): Promise<void> {
  for (;;) {
    const jobs = await boss.fetch<Job>(queue, { batchSize, priority: false, ignoreStartAfter: true })
    if (jobs.length === 0) return
    let next = 0
    await Promise.all(
      Array.from({ length: sendsPerLoop }, async () => {
        for (let job = jobs[next++]; job; job = jobs[next++]) await sender.post(job.data)
      }),
    )
    await boss.complete(
      queue,
      jobs.map(({ id }) => id),
    )
  }
}

answer({
  async open(origin) {
    sender = createPost(origin)
    boss = new PgBoss({ connectionString, schema })
    boss.on('error', (error) => console.error(error))
    await boss.start()
    await boss.createQueue(queue)
  },

  async layOut(count) {
    await boss.purgeQueue(queue)
    for (let n = 0; n < count; n += bulk) {
      const jobs = Array.from({ length: Math.min(bulk, count - n) }, (_, i) => jobOf(n + i))
      await boss.insert(jobs.map((data) => ({ name: queue, data })))
    }
    await boss.getDb().executeSql(`analyze ${schema}.job`, [])
  },

  async start() {
    running = Promise.all(Array.from({ length: loops }, loop))
  },

  async stop() {
    await running
    const left = await boss.getQueueSize(queue, { before: 'completed' })
    if (left > 0) throw new Error(`left: ${left}`)
  },

  async close() {
    await boss.getDb().executeSql(`drop schema ${schema} cascade`, [])
    await boss.stop({ graceful: false, wait: true })
    await sender.close()
  },
} satisfies ContenderMethods)
