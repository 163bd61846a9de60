/** The real Redis that tests run on. */
import { Redis } from 'ioredis'

export interface TestRedis {
  /** Why it cannot be used here; null if it can. */
  missing: string | null
  /** Who asks closes it. */
  connect(): Promise<Redis>
}

/** At `TEST_REDIS_URL`, or on the standard local port. With `REQUIRE_SERVICES=1` it must be there. */
export async function testRedis(): Promise<TestRedis> {
  const connect = async () => {
    const url = process.env.TEST_REDIS_URL ?? 'redis://127.0.0.1:6379'
    const redis = new Redis(url, { lazyConnect: true, maxRetriesPerRequest: 1, retryStrategy: () => null })
    // Told by `connect` and by each command as well.
    redis.on('error', () => {})
    await redis.connect()
    return redis
  }
  try {
    await (await connect()).quit()
    return { missing: null, connect }
  } catch (error) {
    const missing = `Redis cannot be reached: ${error instanceof Error ? error.message : String(error)}`
    if (process.env.REQUIRE_SERVICES === '1') throw new Error(`REQUIRE_SERVICES=1, but ${missing}`)
    console.warn(`\nSKIPPED every Redis test: ${missing}\n`)
    return { missing, connect }
  }
}
