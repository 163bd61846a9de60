/** BullMQ on Redis as what hands work to workers. A job is an id: whatever Redis loses, the database still has. */
import { coreErrors } from '@org/core'
import { type ConnectionOptions, type Job, Queue, Worker } from 'bullmq'
import type { Dispatch, DispatchConsumer, DispatchJob } from './delivery/dispatch.js'

export interface BullmqDispatchOptions {
  /**
   * Where Redis is: what BullMQ takes. Of options three connections are made for a worker, and one for a process that
   * only publishes; an ioredis instance stays the host's to close, and needs `maxRetriesPerRequest: null`.
   */
  connection: ConnectionOptions
  /** `webhooks` unless told. Hosts that share a Redis and not the database need different ones, or another prefix. */
  queueName?: string
  /** Goes before every key; `bull` unless told, as with BullMQ. */
  prefix?: string
}

interface JobData {
  endpointId?: string
}

/** How many jobs one worker holds: each an endpoint, which waits with it if it has no room. */
const jobsAtOnce = 20

/** How many that were done are kept, for whoever looks at the queue. */
const keptJobs = { count: 100 }

/** How long to wait for Redis before it counts as away, in milliseconds. */
const patienceMs = 2_000

/**
 * For `createWebhooks({ dispatch: bullmqDispatch({ connection }) })`. Nothing is opened before something is published or
 * a worker starts. `worker.stop()` closes what it opened; a process that publishes without a worker calls `close()`.
 *
 * @throws ProblemError `setup_error` for a name or a prefix that cannot be one.
 */
export function bullmqDispatch(options: BullmqDispatchOptions): Dispatch {
  const { connection, queueName = 'webhooks', prefix = 'bull' } = options
  if (queueName === '' || queueName.includes(':') || prefix === '') {
    throw coreErrors.setup_error({ detail: 'bullmqDispatch wants a `queueName` without a colon, and a `prefix`.' })
  }
  // Without it, what is added while Redis is away would gather in memory; it is not needed, so it may fail at once.
  const ofQueue = isClient(connection) ? connection : { ...connection, enableOfflineQueue: false }
  let queue: Queue<JobData> | undefined
  let isStuck = false

  function opened(): Queue<JobData> {
    if (!queue) {
      queue = new Queue<JobData>(queueName, { connection: ofQueue, prefix })
      // Whoever adds is told; an emitter that nobody listens to would end the process.
      queue.on('error', () => {})
    }
    return queue
  }

  async function enqueue(jobs: readonly DispatchJob[]): Promise<void> {
    if (isStuck) throw new Error('Redis has not answered yet')
    const adding = opened().addBulk(jobs.map(bulkJob))
    const settled = adding.catch(() => {}).then(() => true)
    if (!(await within(patienceMs, settled))) {
      isStuck = true
      void settled.then(() => {
        isStuck = false
      })
      throw new Error(`Redis did not answer within ${patienceMs} ms`)
    }
    await adding
  }

  return {
    enqueue,

    consume(consumer) {
      const process = async (job: Job<JobData>) => {
        // From here on it may be added again: whatever comes later than the look that this leads to gets a look of its own.
        await job.removeDeduplicationKey()
        const wanted = jobOf(job)
        if (wanted && !(await consumer.take(wanted))) await enqueue([wanted])
      }
      const worker = new Worker<JobData>(queueName, process, { connection, prefix, concurrency: jobsAtOnce })
      worker.on('error', consumer.failed)
      return () => closed(worker)
    },

    async close() {
      const closing = queue
      queue = undefined
      if (closing) await closed(closing)
    },
  }
}

function bulkJob(job: DispatchJob) {
  const data: JobData = job.kind === 'look' ? {} : { endpointId: job.endpointId }
  const deduplication = { id: `${job.kind}-${data.endpointId ?? ''}` }
  return { name: job.kind, data, opts: { deduplication, removeOnComplete: keptJobs, removeOnFail: keptJobs } }
}

/** Null for what is none of ours: others may write to Redis too. */
function jobOf({ name, data }: Pick<Job<JobData>, 'name' | 'data'>): DispatchJob | null {
  const { endpointId } = data
  if (name === 'look') return { kind: name }
  if ((name !== 'published' && name !== 'due') || typeof endpointId !== 'string') return null
  return { kind: name, endpointId }
}

/** Redis may be away, and with it the answer to a farewell. */
async function closed(what: Queue<JobData> | Worker<JobData>): Promise<void> {
  const closing = what.close().catch(() => {})
  if (
    await within(
      patienceMs,
      closing.then(() => true),
    )
  )
    return
  await within(
    patienceMs,
    what
      .disconnect()
      .catch(() => {})
      .then(() => true),
  )
}

/** Answers undefined if it takes longer. */
async function within<T>(ms: number, work: Promise<T>): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), ms)
  })
  return Promise.race([work, late]).finally(() => clearTimeout(timer))
}

function isClient(connection: ConnectionOptions): boolean {
  return typeof (connection as { duplicate?: unknown }).duplicate === 'function'
}

export type { Dispatch, DispatchConsumer, DispatchJob }
