import type { LookupFunction } from 'node:net'
import { systemClock } from '@org/core'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createAddressGuard } from '../src/delivery/address-guard.js'
import { checkNetwork, createSender, type SenderOptions } from '../src/delivery/sender.js'
import { closedPort, connectProxy, loopback, rawReceiver, receiver, secureReceiver, testRoot } from './receiver.js'

const resolvesTo =
  (...addresses: string[]): LookupFunction =>
  (_, __, callback) =>
    callback(
      null,
      addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
    )

function sendThrough(proxy: string, options: Partial<SenderOptions> = {}) {
  const guard = createAddressGuard({ ...loopback, allow: ['127.0.0.0/8', '10.0.0.0/8', 'fd00::/8'] })
  const sender = createSender({
    guard,
    lookup: resolvesTo('10.1.2.3'),
    ca: testRoot,
    timeoutMs: 4_000,
    clock: systemClock,
    proxy,
    ...options,
  })
  onTestFinished(() => sender.close())
  return (url: string) => sender.send({ url, headers: { 'content-type': 'application/json' }, body: '{}' })
}

describe('through a proxy', () => {
  it('an https endpoint is reached at the judged address, under its own name', async () => {
    const secure = await secureReceiver()
    const proxy = await connectProxy()
    const send = sendThrough(`http://127.0.0.1:${proxy.port}`)
    const exchange = await send(`https://hooks.test:${secure.port}/in`)
    expect(exchange).toMatchObject({ error: null, status: 200, address: '10.1.2.3', responseBody: 'ok' })
    expect(await send(`https://hooks.test:${secure.port}/in`)).toMatchObject({ error: null, address: '10.1.2.3' })
    expect(proxy.asked).toEqual([`10.1.2.3:${secure.port}`]) // one tunnel, kept alive
    expect(secure.received[0]).toMatchObject({ path: '/in', headers: { host: `hooks.test:${secure.port}` } })
  })

  it('a certificate of another name is refused all the same', async () => {
    const secure = await secureReceiver()
    const proxy = await connectProxy()
    const exchange = await sendThrough(`http://127.0.0.1:${proxy.port}`)(`https://other.test:${secure.port}/`)
    expect(exchange).toMatchObject({ error: 'tls_failed', status: null, address: '10.1.2.3' })
    expect(secure.received).toEqual([])
  })

  it('plain http goes by CONNECT too', async () => {
    const plain = await receiver()
    const proxy = await connectProxy()
    const exchange = await sendThrough(`http://127.0.0.1:${proxy.port}`)(`http://hooks.test:${plain.port}/`)
    expect(exchange).toMatchObject({ error: null, address: '10.1.2.3' })
    expect(proxy.asked).toEqual([`10.1.2.3:${plain.port}`])
  })

  it('the guard holds for names and for literals, and the proxy hears of nothing', async () => {
    const proxy = await connectProxy()
    const guard = createAddressGuard({})
    const send = sendThrough(`http://127.0.0.1:${proxy.port}`, { guard, lookup: resolvesTo('169.254.169.254') })
    for (const host of ['hooks.test', '127.0.0.1', '[::1]', '[::ffff:10.0.0.1]']) {
      expect(await send(`https://${host}/`), host).toMatchObject({ error: 'address_forbidden', status: null })
    }
    expect(await send('https://hooks.test/')).toMatchObject({ error: 'address_forbidden', address: null })
    expect(proxy.asked).toEqual([])
  })

  it('only judged addresses are asked for, one after the other', async () => {
    const secure = await secureReceiver()
    const proxy = await connectProxy(undefined, (authority) => (authority.startsWith('127.0.0.1:') ? 200 : 503))
    const lookup = resolvesTo('192.168.0.1', 'fd00::1', '10.0.0.1', '127.0.0.1')
    const send = sendThrough(`http://127.0.0.1:${proxy.port}`, { lookup })
    const exchange = await send(`https://hooks.test:${secure.port}/`)
    expect(exchange).toMatchObject({ error: null, address: '127.0.0.1' })
    expect(proxy.asked).toEqual(['[fd00::1]', '10.0.0.1', '127.0.0.1'].map((host) => `${host}:${secure.port}`))
  })

  it('says who it is', async () => {
    const secure = await secureReceiver()
    const expected = `Basic ${Buffer.from('me:p@ss').toString('base64')}`
    const proxy = await connectProxy((authorization) => authorization === expected)
    const url = `https://hooks.test:${secure.port}/`
    expect(await sendThrough(`http://me:p%40ss@127.0.0.1:${proxy.port}`)(url)).toMatchObject({ error: null })
    const refused = await sendThrough(`http://me:wrong@127.0.0.1:${proxy.port}`)(url)
    expect(refused).toMatchObject({ error: 'send_failed', detail: "The host's proxy answered 407 to CONNECT." })
    expect(secure.received.length).toBe(1)
  })

  it('a proxy that is not there, or says nothing, is a failure in time', async () => {
    const gone = await sendThrough(await closedPort())('https://hooks.test/')
    expect(gone).toMatchObject({ error: 'send_failed', detail: "The host's proxy cannot be used (ECONNREFUSED)." })
    const silent = await rawReceiver(() => {})
    const exchange = await sendThrough(`http://127.0.0.1:${silent.port}`, { timeoutMs: 300 })('https://hooks.test/')
    expect(exchange).toMatchObject({ error: 'timeout', status: null })
    await expect.poll(silent.open).toBe(0)
  })

  it('may be spoken to over TLS', async () => {
    const secure = await secureReceiver()
    const proxy = await connectProxy(undefined, undefined, 'secure')
    const url = `https://hooks.test:${secure.port}/`
    const exchange = await sendThrough(`https://127.0.0.1:${proxy.port}`)(url)
    expect(exchange).toMatchObject({ error: null, status: 200, address: '10.1.2.3' })
    const distrusted = await sendThrough(`https://127.0.0.1:${proxy.port}`, { ca: undefined })(url)
    expect(distrusted.error).toBe('send_failed')
    expect(secure.received.length).toBe(1)
  })

  it.each([
    'proxy.internal:3128',
    'socks5://proxy.internal',
    'http://proxy.internal/path',
    'http://proxy.internal?x=1',
    'http://proxy.internal:0',
    'http://%zz@proxy.internal',
    '',
  ])('%j is no proxy', (proxy) => {
    expect(() => checkNetwork({ proxy })).toThrow(/network\.proxy/)
  })

  it.each([0, 1.5, -1, Number.NaN])('%s connections to an origin are refused', (maxConnectionsPerOrigin) => {
    expect(() => checkNetwork({ maxConnectionsPerOrigin })).toThrow(/maxConnectionsPerOrigin/)
  })
})
