/**
 * Receives webhooks in a process of its own, and tells when. What it does is in the path: `/hang` is never answered,
 * `/wait/50` after 50 ms, `/time` notes how long ago its event was published; all others are answered at once.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { answer } from './child.js'
import { now } from './figures.js'

/** When nothing has come for so long, in milliseconds, nothing will. */
const patience = 30_000

let received = 0
let onReceipt = () => {}
/** How long what came to `/time` was under way, in milliseconds. */
let delays: number[] = []

const headers = { 'content-type': 'text/plain', 'content-length': 2 }

function ok(response: ServerResponse): void {
  response.writeHead(200, headers)
  response.end('ok')
}

const server = createServer((request, response) => {
  const path = request.url ?? ''
  if (path.startsWith('/time')) return void time(request, response)
  request.resume()
  request.on('end', () => {
    received++
    onReceipt()
    if (path.startsWith('/hang')) return
    if (path.startsWith('/wait/')) setTimeout(ok, Number(path.split('/')[2]), response)
    else ok(response)
  })
})
// Nobody's connection is to end between two rounds.
server.keepAliveTimeout = 0

async function time(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const at = now()
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk)
  const { data } = JSON.parse(Buffer.concat(chunks).toString())
  received++
  delays.push(at - data.publishedAt)
  onReceipt()
  ok(response)
}

const methods = {
  /** Answers its port. */
  async open(): Promise<number> {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return (server.address() as AddressInfo).port
  },

  /** How many come per second, from the last of `skip` that do not count to the last of the `count` that do. */
  rate(skip: number, count: number): Promise<number> {
    received = 0
    let first = now()
    return new Promise((resolve, reject) => {
      const late = () => reject(new Error(`Only ${received} of ${skip + count} were received.`))
      const timer = setTimeout(late, patience)
      onReceipt = () => {
        if (received % 100 === 0) timer.refresh()
        if (received === skip) first = now()
        if (received !== skip + count) return
        clearTimeout(timer)
        onReceipt = () => {}
        resolve((count / (now() - first)) * 1000)
      }
    })
  },

  /** How many have come since `rate` or `forget` was called. */
  received: () => received,

  /** How long each receipt at `/time` took since they were forgotten, when there are so many. */
  delays(count: number): Promise<number[]> {
    return new Promise((resolve, reject) => {
      const late = () => reject(new Error(`Only ${delays.length} of ${count} were received.`))
      const timer = setTimeout(late, patience)
      onReceipt = () => {
        if (delays.length < count) return
        clearTimeout(timer)
        onReceipt = () => {}
        resolve(delays)
      }
      onReceipt()
    })
  },

  forget(): void {
    received = 0
    delays = []
    onReceipt = () => {}
  },
}
export type Receiver = typeof methods

answer(methods)
