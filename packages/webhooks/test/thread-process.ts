/** A child process of thread.test.ts, since a thread of uncompiled files needs a loader: prints what comes of requests. */
import { syncBuiltinESMExports } from 'node:module'
import threads from 'node:worker_threads'
import { createAddressGuard } from '../src/delivery/address-guard.js'
import { createSender } from '../src/delivery/sender.js'
import { createThreadedSender } from '../src/delivery/thread/sender.js'

const loader = new URL('thread-loader.mjs', import.meta.url)
let posts = 0
threads.Worker = class extends threads.Worker {
  constructor(entry: URL, options: threads.WorkerOptions) {
    super(loader, { ...options, argv: [entry.href] })
    this.on('message', () => posts === crashAt && void this.terminate())
  }

  override postMessage(message: unknown): void {
    posts++
    super.postMessage(message)
  }
}
syncBuiltinESMExports()

const { url, allow, crashAt } = JSON.parse(process.argv[2] ?? '') as { url: string; allow: string[]; crashAt: number }
const logged: string[] = []
const log = (message: string) => void logged.push(message)
const guard = createAddressGuard({ allow: ['127.0.0.1'], allowHttp: true })
const sender = createThreadedSender({
  options: { allow, allowHttp: true, timeoutMs: 3_000 },
  logger: { debug: log, info: log, warn: log, error: log },
  createFallback: () =>
    createSender({ guard, lookup: undefined, ca: undefined, timeoutMs: 3_000, clock: { now: Date.now } }),
})

const send = (path: string, to = url) => sender.send({ url: new URL(path, to).href, headers: {}, body: '{}' })
const outcome = async (sending: ReturnType<typeof send>) => {
  const { status, error, address, responseBody } = await sending
  return { status, error, address, responseBody }
}
const first = await Promise.all([send('/1'), send('/2'), send('/3', 'http://10.0.0.1')].map(outcome))
const second = await outcome(send('/4'))
const cut = outcome(send('/hang'))
await new Promise((resolve) => setTimeout(resolve, 300))
await sender.close()
const after = await outcome(send('/5'))
console.log(JSON.stringify({ first, second, cut: await cut, after, logged }))
