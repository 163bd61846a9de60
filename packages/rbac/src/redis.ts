/** Redis for @org/rbac: other processes hear of changes at once. */
import type { CacheBus } from './cache/bus.js'

/** What is used of a client; `new Redis()` of ioredis fits. */
export interface RedisPublisher {
  publish(channel: string, message: string): Promise<unknown>
}

/** A client of its own: one that subscribes can do nothing else. */
export interface RedisSubscriber {
  subscribe(channel: string): Promise<unknown>
  unsubscribe(channel: string): Promise<unknown>
  on(event: 'message', hear: (channel: string, message: string) => void): unknown
  on(event: 'ready', ready: () => void): unknown
  off(event: 'message', hear: (channel: string, message: string) => void): unknown
  off(event: 'ready', ready: () => void): unknown
}

export interface RedisBusOptions {
  publisher: RedisPublisher
  subscriber: RedisSubscriber
  /** Where messages are sent and heard; `rbac:changes` unless told. */
  channel?: string
}

/**
 * For `createRbac({ cache: { bus: redisBus({ publisher, subscriber }) } })`. Both clients stay the host's: it makes them,
 * listens to their errors and closes them. They come back by themselves after a lost connection.
 */
export function redisBus({ publisher, subscriber, channel = 'rbac:changes' }: RedisBusOptions): CacheBus {
  return {
    publish: async (change) => void (await publisher.publish(channel, JSON.stringify(change))),

    async listen(listener) {
      const hear = (from: string, message: string) => {
        if (from === channel) listener.heard(message)
      }
      subscriber.on('message', hear)
      subscriber.on('ready', listener.reconnected)
      const end = async () => {
        subscriber.off('message', hear)
        subscriber.off('ready', listener.reconnected)
        await subscriber.unsubscribe(channel).catch(() => {})
      }
      try {
        await subscriber.subscribe(channel)
      } catch (error) {
        await end()
        throw error
      }
      return end
    },
  }
}
