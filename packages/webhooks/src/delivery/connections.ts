/** What tells a worker to look, besides its own polling: this process, the database, a queue. */
import { keepListening, type MessageSource, type Runtime } from '@org/core'
import { endpointIdsOf } from '../wake-ups/message.js'
import type { Dispatching } from './dispatch.js'
import type { WorkerEars } from './worker.js'

export interface Connections {
  /** What is called when something is made due in this process. */
  wakeUps: Set<(endpointIds: readonly string[]) => void>
  /** What other processes say through the database. */
  source: MessageSource | undefined
  /** What then tells it all, and to one worker only. */
  dispatching: Dispatching | undefined
  runtime: Pick<Runtime, 'logger' | 'random'>
}

/** Answers how to end it. */
export function connectTo(ears: WorkerEars, connections: Connections): () => Promise<void> {
  const { wakeUps, source, dispatching, runtime } = connections
  if (dispatching) {
    return dispatching.dispatch.consume({ take: ears.take, failed: dispatching.failed })
  }
  const { wake } = ears
  wakeUps.add(wake)
  const listening = source && listenTo(source, wake, runtime)
  return async () => {
    wakeUps.delete(wake)
    await listening?.stop()
  }
}

function listenTo(source: MessageSource, wake: WorkerEars['wake'], { logger, random }: Connections['runtime']) {
  return keepListening(
    source,
    {
      heard(message) {
        const endpointIds = endpointIdsOf(message)
        if (endpointIds) wake(endpointIds)
      },
      reconnected: () => wake([]),
      failed: (error) => logger.warn('A webhooks worker hears nothing from other processes for now', { error }),
    },
    { random },
  )
}
