/** BullMQ on Redis as what hands work to workers. A job is an id: whatever Redis loses, the database still has. */
import { coreErrors } from '@org/core'
import { type Job, Queue, type RedisOptions, Worker } from 'bullmq'
import type { Dispatch, DispatchConsumer, DispatchJob } from './delivery/dispatch.js'

export interface BullmqDispatchOptions {
  /**
   * Where Redis is: `{ url }`, `{ host, port }` or whatever ioredis takes as options, but no client of your own. Two
   * connections are made for a worker, and one for a process that publishes.
   */
  connection: RedisOptions
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

/** How long a job keeps others like it out, in milliseconds: Redis may have lost it, and not the mark that it made. */
const keptOutMs = 5_000

/** How long to wait for Redis before it counts as away, in milliseconds. */
const patienceMs = 2_000

/** The longest wait between attempts to reach it: as long as a farewell may take. */
const longestRetryMs = 1_000

/**
 * For `createWebhooks({ dispatch: bullmqDispatch({ connection }) })`. Nothing is opened before something is published or
 * a worker starts. `worker.stop()` closes what it opened; a process that publishes without a worker calls `close()`.
 *
 * @throws ProblemError `setup_error` for a name or a prefix that cannot be one, or a client as `connection`.
 */
export function bullmqDispatch(options: BullmqDispatchOptions): Dispatch {
  const { connection, queueName = 'webhooks', prefix = 'bull' } = options
  if (queueName === '' || queueName.includes(':') || prefix === '') {
    throw coreErrors.setup_error({ detail: 'bullmqDispatch wants a `queueName` without a colon, and a `prefix`.' })
  }
  if (typeof connection.duplicate === 'function') {
    throw coreErrors.setup_error({ detail: 'bullmqDispatch wants options as `connection`, such as { url }.' })
  }
  let publishing: { queue: Queue<JobData>; line: Line } | undefined
  let isStuck = false

  function opened(): Queue<JobData> {
    if (!publishing) {
      const line = lineTo(connection)
      publishing = { queue: new Queue<JobData>(queueName, { connection: line.options, prefix }), line }
      // Whoever adds is told; an emitter that nobody listens to would end the process.
      publishing.queue.on('error', () => {})
    }
    return publishing.queue
  }

  async function enqueue(jobs: readonly DispatchJob[]): Promise<void> {
    // BullMQ waits for Redis as long as it takes. One that waits is enough: jobs must not gather in memory meanwhile.
    if (isStuck) throw new Error('Redis has not answered yet')
    const adding = opened().addBulk(jobs.map(bulkJob))
    const settled = adding.then(yes, yes)
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
      const line = lineTo(connection)
      const options = { connection: line.options, prefix, concurrency: jobsAtOnce }
      const worker = new Worker<JobData>(queueName, process, options)
      worker.on('error', consumer.failed)
      let isAway = true
      worker.on('ready', () => {
        isAway = false
      })
      worker.on('ioredis:close', () => {
        isAway = true
      })
      // Without Redis it would wait for what never comes.
      return () => closed(line, () => worker.close(isAway))
    },

    async close() {
      const closing = publishing
      publishing = undefined
      if (closing) await closed(closing.line, () => closing.queue.close())
    },
  }
}

function bulkJob(job: DispatchJob) {
  const data: JobData = job.kind === 'look' ? {} : { endpointId: job.endpointId }
  const deduplication = { id: `${job.kind}-${data.endpointId ?? ''}`, ttl: keptOutMs }
  return { name: job.kind, data, opts: { deduplication, removeOnComplete: keptJobs, removeOnFail: keptJobs } }
}

/** Null for what is none of ours: others may write to Redis too. */
function jobOf({ name, data }: Pick<Job<JobData>, 'name' | 'data'>): DispatchJob | null {
  const { endpointId } = data
  if (name === 'look') return { kind: name }
  if ((name !== 'published' && name !== 'due') || typeof endpointId !== 'string') return null
  return { kind: name, endpointId }
}

interface Line {
  options: RedisOptions
  /** It is not tried again once it is lost. */
  giveUp(): void
}

/** Without Redis, ioredis tries for ever, and BullMQ waits for it, also to close: nobody could then end the process. */
function lineTo({ retryStrategy, ...connection }: RedisOptions): Line {
  let givenUp = false
  const next = (times: number) => Math.min(retryStrategy?.(times) ?? 50 * 2 ** Math.min(times, 10), longestRetryMs)
  return {
    options: { ...connection, retryStrategy: (times) => (givenUp ? null : next(times)) },
    giveUp() {
      givenUp = true
    },
  }
}

/** However little Redis answers. */
async function closed(line: Line, close: () => Promise<void>): Promise<void> {
  line.giveUp()
  await within(patienceMs, close().then(yes, yes))
}

const yes = () => true

/** Answers undefined if it takes longer. */
async function within<T>(ms: number, work: Promise<T>): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), ms)
  })
  return Promise.race([work, late]).finally(() => clearTimeout(timer))
}

export type { Dispatch, DispatchConsumer, DispatchJob }
