/** A loop of signed POSTs: what is left of a delivery when nothing is stored. */
import { answer } from './child.js'
import type { ContenderMethods } from './contender.js'
import { concurrency, createPost, jobOf } from './post.js'

let sender: ReturnType<typeof createPost>
let left = 0
let running: Promise<unknown> = Promise.resolve()

async function loop(): Promise<void> {
  while (left > 0) await sender.post(jobOf(left--))
}

answer({
  async open(origin) {
    sender = createPost(origin)
  },
  async layOut(count) {
    left = count
  },
  async start() {
    running = Promise.all(Array.from({ length: concurrency }, loop))
  },
  stop: async () => void (await running),
  close: () => sender.close(),
} satisfies ContenderMethods)
