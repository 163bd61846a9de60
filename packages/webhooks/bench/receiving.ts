/** Begins the receiver, which everybody sends to. */
import { begin, type Child } from './child.js'
import type { Receiver } from './receiver.js'

export interface Receiving {
  receiver: Child<Receiver>
  origin: string
  close(): Promise<void>
}

export async function openReceiver(): Promise<Receiving> {
  const receiver = begin<Receiver>('receiver.ts')
  const port = await receiver.call('open')
  return { receiver, origin: `http://127.0.0.1:${port}`, close: receiver.end }
}
