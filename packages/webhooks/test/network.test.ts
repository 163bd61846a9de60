import type { LookupFunction } from 'node:net'
import { memoryStorage } from '@org/webhooks'
import { verifyWebhook } from '@org/webhooks/verify'
import { describe, expect, it } from 'vitest'
import { type Answer, closedPort, loopback, type Receiver, receiver, secureReceiver, testRoot } from './receiver.js'
import { keyCreated, scope, world } from './world.js'

/** Publishes one message to the URL, drains, and shows what came of it. */
async function deliverTo(url: string, network = {}) {
  const { webhooks, clock } = world({ network: { ...loopback, timeoutMs: 400, ...network } })
  const { id, secret } = await webhooks.endpoints.create(scope, { url })
  await webhooks.publish(keyCreated)
  const drained = await webhooks.drain()
  const [delivery] = (await webhooks.deliveries.list(scope)).data
  const [attempt] = (await webhooks.deliveries.attempts(scope, delivery?.id ?? '')).data
  const endpoint = await webhooks.endpoints.get(scope, id)
  const waits = delivery?.nextAttemptAt ? delivery.nextAttemptAt - clock.now() : null
  return { drained, delivery, attempt, endpoint, secret, waits }
}

const answerOf = async (answer: Answer) => deliverTo((await receiver(answer)).url)

/** Resolves every name to these, as a changed DNS record would. */
const resolvesTo =
  (...addresses: string[]): LookupFunction =>
  (_, options, callback) => {
    const all = addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }))
    if (options.all) callback(null, all)
    else callback(null, all[0]?.address ?? '', all[0]?.family)
  }

describe('an answer', () => {
  it.each([200, 201, 202, 204, 299])('%i delivers', async (status) => {
    const { delivery, attempt } = await answerOf((_, __, response) => response.writeHead(status).end())
    expect(delivery).toMatchObject({ status: 'delivered', lastStatus: status, lastError: null, attempts: 1 })
    expect(attempt).toMatchObject({ number: 1, status, error: null, address: '127.0.0.1', responseTruncated: false })
  })

  it.each([
    [400, 'http_status'],
    [404, 'http_status'],
    [500, 'http_status'],
    [503, 'http_status'],
    [300, 'redirect'],
    [304, 'redirect'],
  ])('%i is the failure %s', async (status, error) => {
    const { delivery, attempt, waits } = await answerOf((_, __, response) => response.writeHead(status).end())
    expect(delivery).toMatchObject({ status: 'pending', lastStatus: status, lastError: error })
    expect(attempt).toMatchObject({ status, error })
    expect(waits).toBe(5000)
  })

  it.each([301, 302, 303, 307, 308])('%i is not followed', async (status) => {
    const elsewhere = await receiver()
    const { attempt } = await answerOf((_, __, response) =>
      response.writeHead(status, { location: elsewhere.url }).end(),
    )
    expect(attempt).toMatchObject({ status, error: 'redirect', responseHeaders: { location: elsewhere.url } })
    expect(elsewhere.received).toEqual([])
  })

  it('410 disables the endpoint and holds the message', async () => {
    const { endpoint, delivery, waits } = await answerOf((_, __, response) => response.writeHead(410).end())
    expect(endpoint).toMatchObject({ enabled: false, disabledReason: 'gone' })
    expect(delivery).toMatchObject({ status: 'held', lastStatus: 410, lastError: 'gone' })
    expect(waits).toBe(null)
  })

  it.each([
    ['120', 120_000],
    ['1', 5000],
    ['Thu, 01 Jan 2026 00:03:00 GMT', 180_000],
    ['9999999', 86_400_000],
  ])('429 with Retry-After %s waits %i ms', async (header, expected) => {
    const { waits } = await answerOf((_, __, response) => response.writeHead(429, { 'retry-after': header }).end())
    expect(waits).toBe(expected)
  })
})

describe('a receiver', () => {
  it('that refuses connections is a failure', async () => {
    const { attempt, delivery } = await deliverTo(await closedPort())
    expect(attempt).toMatchObject({ error: 'connection_refused', status: null, address: '127.0.0.1' })
    expect(delivery?.status).toBe('pending')
  })

  it('is named by each address that was tried', async () => {
    const { port } = new URL(await closedPort())
    const { attempt } = await deliverTo(`http://two.test:${port}/`, { lookup: resolvesTo('127.0.0.1', '127.0.0.2') })
    expect(attempt).toMatchObject({ error: 'connection_refused', status: null })
    expect(attempt?.detail).toMatch(/127\.0\.0\.1.*; .*127\.0\.0\.2/)
  })

  it('that hangs, drips its headers or drips its body runs into the one deadline', async () => {
    const hangs: Answer = () => {}
    const dripsHeaders: Answer = (_, { socket }) => {
      socket.write('HTTP/1.1 200 OK\r\nslow: ')
      const timer = setInterval(() => socket.write('.'), 50)
      socket.on('close', () => clearInterval(timer))
    }
    const dripsBody: Answer = (_, __, response) => {
      const timer = setInterval(() => response.write('.'), 50)
      response.on('close', () => clearInterval(timer))
    }
    const attempts = await Promise.all(
      [hangs, dripsHeaders, dripsBody].map(async (answer) => (await answerOf(answer)).attempt),
    )
    expect(attempts).toMatchObject([
      { error: 'timeout', status: null },
      { error: 'timeout', status: null },
      { error: 'timeout', status: 200 },
    ])
  })

  it('that closes early is a failure', async () => {
    const before = await answerOf((_, { socket }) => socket.destroy())
    expect(before.attempt).toMatchObject({ error: 'connection_closed', status: null })
    const within = await answerOf((_, { socket }, response) => {
      response.writeHead(200, { 'content-length': 100 })
      response.write('half', () => socket.destroy())
    })
    expect(within.attempt).toMatchObject({ error: 'connection_closed', status: 200 })
  })

  it('that talks nonsense is a failure', async () => {
    const { attempt } = await answerOf((_, { socket }) => socket.end('nonsense\r\n\r\n'))
    expect(attempt).toMatchObject({ error: 'malformed_response', status: null })
  })

  it('that sends a lot is read and kept up to 16 KiB', async () => {
    const many: Receiver = await receiver((_, __, response) => {
      const chunk = Buffer.alloc(64 * 1024, 'x')
      const more = () => {
        while (response.write(chunk));
        response.once('drain', more)
      }
      more()
    })
    const { attempt, delivery } = await deliverTo(many.url)
    expect(delivery?.status).toBe('delivered')
    expect(attempt?.responseBody?.length).toBe(16 * 1024)
    expect(attempt?.responseTruncated).toBe(true)
  })

  it('that answers with NULs and broken UTF-8 is logged all the same', async () => {
    const { attempt } = await answerOf((_, __, response) => response.end(Buffer.from([0x61, 0x00, 0xff, 0x62])))
    expect(attempt?.responseBody).toBe('a��b')
  })
})

it.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 31])('a deadline cannot be %s ms', (timeoutMs) => {
  expect(() => world({ network: { timeoutMs } })).toThrow(/timeoutMs/)
})

describe('TLS', () => {
  it('delivers to a name, over a root that the host added', async () => {
    const secure = await secureReceiver()
    const url = `https://hooks.test:${secure.port}/in?a=1`
    const { delivery, attempt, secret } = await deliverTo(url, { ca: testRoot, lookup: resolvesTo('127.0.0.1') })
    expect(delivery?.status).toBe('delivered')
    expect(attempt?.address).toBe('127.0.0.1')
    const [got] = secure.received
    const options = { now: Date.parse('2026-01-01T00:00:00Z') }
    expect(verifyWebhook(secret, got?.headers ?? {}, got?.body ?? '', options)).toMatchObject({ type: 'key.created' })
  })

  it.each([
    ['an unknown root', 'hooks.test', undefined],
    ['another name', 'other.test', testRoot],
  ])('refuses a certificate of %s', async (_, host, ca) => {
    const secure = await secureReceiver()
    const lookup = resolvesTo('127.0.0.1')
    const { attempt } = await deliverTo(`https://${host}:${secure.port}/`, { lookup, ...(ca && { ca }) })
    expect(attempt).toMatchObject({ error: 'tls_failed', status: null })
    expect(secure.received).toEqual([])
  })
})

describe('the address guard at connect time', () => {
  it('refuses a name that resolves to where nobody may go', async () => {
    const secure = await secureReceiver()
    const network = { allow: [], ca: testRoot, lookup: resolvesTo('127.0.0.1', '::ffff:10.0.0.1') }
    const { attempt } = await deliverTo(`https://hooks.test:${secure.port}/`, network)
    expect(attempt).toMatchObject({ error: 'address_forbidden', status: null, address: null })
    // Which one it is would tell a customer of the host's own network.
    expect(attempt?.detail).toMatch(/^hooks\.test is at no address/)
    expect(attempt?.detail).not.toContain('127.0.0.1')
    expect(secure.received).toEqual([])
  })

  it('connects only to those of several addresses that are allowed', async () => {
    const secure = await secureReceiver()
    const lookup = resolvesTo('10.255.255.1', 'fd00::1', '127.0.0.1')
    const { attempt } = await deliverTo(`https://hooks.test:${secure.port}/`, { ca: testRoot, lookup })
    expect(attempt).toMatchObject({ error: null, address: '127.0.0.1' })
  })

  it('is asked again when the name changes its mind', async () => {
    const secure = await secureReceiver((_, __, response) => response.writeHead(200, { connection: 'close' }).end())
    let address = '127.0.0.2'
    const lookup: LookupFunction = (host, options, callback) => resolvesTo(address)(host, options, callback)
    const network = { allow: ['127.0.0.1'], ca: testRoot, lookup }
    const { webhooks } = world({ network, retry: { scheduleMs: [0, 0] } })
    await webhooks.endpoints.create(scope, { url: `https://hooks.test:${secure.port}/` })
    address = '127.0.0.1'
    await webhooks.publish(keyCreated)
    expect(await webhooks.drain()).toMatchObject({ delivered: 1 })
    address = '169.254.169.254'
    await webhooks.publish(keyCreated)
    expect(await webhooks.drain()).toMatchObject({ delivered: 0, deadLettered: 1 })
    expect(secure.received.length).toBe(1)
  })

  it('judges literals too, though Node.js looks them up nowhere', async () => {
    const target = await receiver()
    const storage = memoryStorage()
    await world({ storage }).webhooks.endpoints.create(scope, { url: target.url })
    // The host has tightened its policy since the endpoint was registered.
    const { webhooks } = world({ storage, network: { allow: ['127.0.0.2'], allowHttp: true } })
    await webhooks.publish(keyCreated)
    await webhooks.drain()
    const { data } = await webhooks.deliveries.list(scope)
    expect(data).toMatchObject([{ status: 'pending', lastError: 'address_forbidden' }])
    expect(target.received).toEqual([])
  })

  it('sends plain http only to addresses that the host named', async () => {
    const plain = await receiver()
    const network = { allow: ['10.0.0.0/8'], lookup: resolvesTo('127.0.0.1') }
    const { attempt } = await deliverTo(`http://hooks.test:${plain.port}/`, network)
    expect(attempt?.error).toBe('address_forbidden')
    const publicAddress = await deliverTo('http://hooks.test/', { lookup: resolvesTo('8.8.8.8') })
    expect(publicAddress.attempt?.error).toBe('address_forbidden')
    const named = await deliverTo(`http://hooks.test:${plain.port}/`, { lookup: resolvesTo('127.0.0.1') })
    expect(named.attempt?.error).toBe(null)
  })
})
