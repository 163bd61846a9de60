/** graphile-worker 0.16 that sends the same POST. */
import { Logger, makeWorkerUtils, type Runner, run, type WorkerUtils } from 'graphile-worker'
import { answer } from './child.js'
import type { ContenderMethods } from './contender.js'
import { concurrency, createPost, type Job, jobOf } from './post.js'

const connectionString = process.env.TEST_POSTGRES_URL ?? 'postgres://postgres@127.0.0.1:5432/test'
const schema = `bench_graphile_${process.pid}`
const bulk = 1_000
/** As many as a server with its usual 100 can spare: fewer are slower. */
const maxPoolSize = 40
const logger = new Logger(() => (level, message) => level === 'error' && console.error(message))
const options = { connectionString, schema, logger }

let sender: ReturnType<typeof createPost>
let utils: WorkerUtils
let runner: Runner

answer({
  async open(origin) {
    sender = createPost(origin)
    utils = await makeWorkerUtils(options)
    await utils.migrate()
  },

  async layOut(count) {
    for (let n = 0; n < count; n += bulk) {
      const jobs = Array.from({ length: Math.min(bulk, count - n) }, (_, i) => jobOf(n + i))
      await utils.withPgClient((client) =>
        client.query(
          `select count(*) from ${schema}.add_jobs(array(
            select row('deliver', job, null, now(), 1, null, 0::smallint, null)::${schema}.job_spec
            from json_array_elements($1::json) job))`,
          [JSON.stringify(jobs)],
        ),
      )
    }
    await utils.withPgClient((client) => client.query(`analyze ${schema}._private_jobs`))
  },

  async start() {
    const deliver = (payload: unknown) => sender.post(payload as Job)
    runner = await run({ ...options, concurrency, maxPoolSize, noHandleSignals: true, taskList: { deliver } })
  },

  async stop() {
    await runner.stop()
    const { rows } = await utils.withPgClient((client) =>
      client.query(`select count(*)::int as left from ${schema}.jobs`),
    )
    if (rows[0].left > 0) throw new Error(`left: ${rows[0].left}`)
  },

  async close() {
    await utils.withPgClient((client) => client.query(`drop schema ${schema} cascade`))
    await utils.release()
    await sender.close()
  },
} satisfies ContenderMethods)
