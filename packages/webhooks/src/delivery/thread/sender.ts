/** A sender in a thread of its own, so that what is sent takes nothing from the event loop of the host. */
import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { Logger } from '@org/core'
import { type Exchange, noAnswer } from '../exchange.js'
import type { OutgoingRequest, Sender } from '../sender.js'
import type { FromThread, NumberedExchange, ThreadOptions, ToThread } from './protocol.js'

export interface ThreadedSenderParts {
  options: ThreadOptions
  logger: Logger
  /** Sends in the place of a thread that cannot begin, as in an application that a bundler made one file of. */
  createFallback: () => Sender
}

interface Waiting {
  request: OutgoingRequest
  resolve: (exchange: Exchange) => void
}

/** Begins the thread at the first `send`, and another at the next one after it has crashed. */
export function createThreadedSender({ options, logger, createFallback }: ThreadedSenderParts): Sender {
  const waiting = new Map<number, Waiting>()
  let unsent: number[] = []
  let numbers = 0
  let thread: Worker | null = null
  let fallback: Sender | null = null
  let aborted = false

  function settle(exchanges: NumberedExchange[]): void {
    for (const [number, exchange] of exchanges) {
      waiting.get(number)?.resolve(exchange)
      waiting.delete(number)
    }
  }

  function begin(): Worker {
    // The one beside this file, compiled or not.
    const entry = new URL(`./entry${extname(import.meta.url)}`, import.meta.url)
    const begun = new Worker(entry, { workerData: options, name: 'webhooks-sender' })
    let isReady = false
    let reason: unknown
    begun.on('message', (message: FromThread) => {
      if (message === 'begun') isReady = true
      else settle(JSON.parse(message.exchanges) as NumberedExchange[])
    })
    begun.on('error', (error) => {
      reason = error
    })
    begun.on('exit', () => {
      thread = null
      unsent = []
      if (isReady) giveUp(reason)
      else fallBack(reason)
    })
    return begun
  }

  /** What it was sending may have been received: that is for the next attempt to find out. */
  function giveUp(error: unknown): void {
    if (error !== undefined) logger.error('The thread that sends webhooks crashed', { error })
    const exchange = aborted
      ? noAnswer('worker_stopped', null)
      : noAnswer('send_failed', 'The thread that was sending it ended; it may have been received.')
    settle([...waiting.keys()].map((number) => [number, exchange]))
  }

  function fallBack(error: unknown): void {
    logger.error('The thread that sends webhooks could not begin; the worker sends without it', { error })
    const sender = createFallback()
    fallback = sender
    if (aborted) sender.abort()
    for (const [number, { request }] of waiting) {
      void sender.send(request).then((exchange) => settle([[number, exchange]]))
    }
  }

  const post = (message: ToThread) => thread?.postMessage(message)

  /** What was given to send since the last time goes over together. */
  function flush(): void {
    if (unsent.length === 0) return
    thread ??= begin()
    const requests = JSON.stringify(unsent.map((number) => [number, waiting.get(number)?.request]))
    unsent = []
    post({ requests })
  }

  function abort(): void {
    aborted = true
    flush()
    post('abort')
    fallback?.abort()
  }

  return {
    send(request) {
      if (aborted) return Promise.resolve(noAnswer('worker_stopped', null))
      if (fallback) return fallback.send(request)
      return new Promise((resolve) => {
        waiting.set(++numbers, { request, resolve })
        if (unsent.push(numbers) === 1) process.nextTick(flush)
      })
    },
    abort,
    async close() {
      abort()
      if (thread) {
        const ended = new Promise((resolve) => thread?.once('exit', resolve))
        post('close')
        await ended
      }
      await fallback?.close()
    },
  }
}
