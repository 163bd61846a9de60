/** What a worker and its sending thread say to each other. Many at a time, as text, which costs less than clones. */
import type { NetworkOptions } from '../network.js'
import type { Exchange, OutgoingRequest } from '../sender.js'

/** What a thread is begun with. Functions cannot be handed to it. */
export interface ThreadOptions extends Omit<NetworkOptions, 'lookup' | 'timeoutMs' | 'ca'> {
  ca?: string
  /** The latest deadline of any exchange, in milliseconds. */
  timeoutMs: number
}

export type NumberedRequest = [number: number, request: OutgoingRequest]
export type NumberedExchange = [number: number, exchange: Exchange]

/** To the thread: numbered requests as JSON, or what to do with all of them. */
export type ToThread = { requests: string } | 'abort' | 'close'

/** From the thread: that it has begun, and numbered exchanges as JSON. */
export type FromThread = 'begun' | { exchanges: string }
