/** The thread that sends: an ordinary sender, told by messages what to do. */
import { parentPort, workerData } from 'node:worker_threads'
import { systemClock } from '@org/core'
import { createAddressGuard } from '../address-guard.js'
import { createSender } from '../sender.js'
import type { FromThread, NumberedExchange, NumberedRequest, ThreadOptions, ToThread } from './protocol.js'

const { allow, allowHttp, ca, ...network } = workerData as ThreadOptions
const guard = createAddressGuard({ ...(allow && { allow }), ...(allowHttp !== undefined && { allowHttp }) })
const sender = createSender({ ...network, ca, lookup: undefined, guard, clock: systemClock })
let ended: NumberedExchange[] = []

const tell = (message: FromThread) => parentPort?.postMessage(message)

/** What ends in the same turn of the event loop is told together. */
function tellEnded(): void {
  const exchanges = JSON.stringify(ended)
  ended = []
  tell({ exchanges })
}

function sendAll(requests: NumberedRequest[]): void {
  for (const [number, request] of requests) {
    void sender.send(request).then((exchange) => {
      if (ended.push([number, exchange]) === 1) setImmediate(tellEnded)
    })
  }
}

async function close(): Promise<void> {
  await sender.close()
  setImmediate(() => parentPort?.close())
}

parentPort?.on('message', (message: ToThread) => {
  if (message === 'abort') sender.abort()
  else if (message === 'close') void close()
  else sendAll(JSON.parse(message.requests) as NumberedRequest[])
})
tell('begun')
