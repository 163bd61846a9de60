/** A BullMQ worker that sends the same POST, and logs nothing. */
import { Queue, Worker } from 'bullmq'
import { answer } from './child.js'
import type { ContenderMethods } from './contender.js'
import { concurrency, createPost, type Job, jobOf } from './post.js'

const { hostname: host, port } = new URL(process.env.TEST_REDIS_URL ?? 'redis://127.0.0.1:6379')
const connection = { host, port: Number(port || 6379), maxRetriesPerRequest: null }
const name = `bench-${process.pid}`
/** How many are added in one round trip. */
const bulk = 1_000

let sender: ReturnType<typeof createPost>
let queue: Queue<Job>
let worker: Worker<Job>

answer({
  async open(origin) {
    sender = createPost(origin)
    // Without Redis this is to fail, not to wait for it.
    queue = new Queue(name, { connection: { ...connection, maxRetriesPerRequest: 1 } })
  },

  async layOut(count) {
    for (let n = 0; n < count; n += bulk) {
      const jobs = Array.from({ length: Math.min(bulk, count - n) }, (_, i) => jobOf(n + i))
      await queue.addBulk(jobs.map((data) => ({ name: 'deliver', data, opts: { removeOnComplete: true } })))
    }
  },

  async start() {
    worker = new Worker<Job>(name, (job) => sender.post(job.data), { connection, concurrency })
    worker.on('error', (error) => console.error(error))
  },

  async stop() {
    await worker.close()
    const left = await queue.getJobCounts()
    if (Object.values(left).some((count) => count > 0)) throw new Error(`left: ${JSON.stringify(left)}`)
  },

  async close() {
    await queue.obliterate({ force: true })
    await queue.close()
    await sender.close()
  },
} satisfies ContenderMethods)
