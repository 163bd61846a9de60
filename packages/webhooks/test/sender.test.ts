/** What the sender holds, for how long, and when it lets go. */
import { createServer } from 'node:http'
import type { AddressInfo, LookupFunction } from 'node:net'
import { systemClock } from '@org/core'
import { fakeClock } from '@org/core/testing'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createAddressGuard } from '../src/delivery/address-guard.js'
import { createSender, type SenderOptions } from '../src/delivery/sender.js'
import { loopback, rawReceiver, receiver, secureReceiver, testRoot } from './receiver.js'

const lookup: LookupFunction = (_, __, callback) => callback(null, [{ address: '127.0.0.1', family: 4 }])

function senderFor(options: Partial<SenderOptions> = {}) {
  const guard = createAddressGuard(loopback)
  const sender = createSender({ guard, lookup, ca: testRoot, timeoutMs: 4_000, clock: systemClock, ...options })
  onTestFinished(() => sender.close())
  const send = (url: string, timeoutMs?: number) =>
    sender.send({ url, headers: {}, body: '{}', ...(timeoutMs !== undefined && { timeoutMs }) })
  return { sender, send }
}

/** A receiver that counts its connections. */
async function counted() {
  const open = new Set<object>()
  let made = 0
  const server = createServer((_, response) => response.end('ok'))
  server.on('connection', (socket) => {
    made += 1
    open.add(socket)
    socket.on('close', () => open.delete(socket))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })
  return { port: (server.address() as AddressInfo).port, open, made: () => made }
}

describe('connections', () => {
  it('are kept alive and used again', async () => {
    const target = await counted()
    const { send } = senderFor()
    for (let i = 0; i < 20; i += 1)
      expect(await send(`http://a.test:${target.port}/${i}`)).toMatchObject({ error: null })
    expect(target.made()).toBe(1)
  })

  it('are as many as there are exchanges at once, and no more than allowed', async () => {
    const target = await counted()
    const url = `http://a.test:${target.port}/`
    const free = senderFor()
    await Promise.all(Array.from({ length: 30 }, () => free.send(url)))
    expect(target.made()).toBe(30)
    const bounded = senderFor({ maxConnectionsPerOrigin: 3 })
    const all = await Promise.all(Array.from({ length: 30 }, () => bounded.send(url)))
    expect(all.every(({ error }) => error === null)).toBe(true)
    expect(target.made()).toBe(33)
  })

  it('of hundreds of origins stay few, and leave nothing behind', async () => {
    const target = await counted()
    const { sender, send } = senderFor()
    for (let round = 0; round < 8; round += 1) {
      const urls = Array.from({ length: 100 }, (_, i) => `http://n${round * 100 + i}.test:${target.port}/`)
      const all = await Promise.all(urls.map((url) => send(url)))
      expect(all.every(({ error, address }) => error === null && address === '127.0.0.1')).toBe(true)
      expect(sender.size.connections).toBeLessThanOrEqual(512)
    }
    expect(target.made()).toBe(800)
    expect(sender.size).toEqual({ origins: 512, connections: 512 })
    await expect.poll(() => target.open.size).toBe(512)
    await sender.close()
    expect(sender.size).toEqual({ origins: 0, connections: 0 })
    await expect.poll(() => target.open.size).toBe(0)
  })

  it('that failed are forgotten', async () => {
    const { sender, send } = senderFor({ lookup: (host, _, callback) => callback(new Error(host), '', undefined) })
    await Promise.all(Array.from({ length: 300 }, (_, i) => send(`http://n${i}.test/`)))
    expect(sender.size).toEqual({ origins: 0, connections: 0 })
  })

  it('are not made to a name without addresses', async () => {
    const { send } = senderFor({ lookup: (_, __, callback) => callback(null, []) })
    expect(await send('http://a.test/')).toMatchObject({ error: 'dns_failed', detail: 'a.test has no address' })
  })

  it('that the receiver closes are forgotten, and nobody fails over them', async () => {
    const target = await receiver((_, request, response) => {
      response.end('ok', () => setImmediate(() => request.socket.destroy()))
    })
    const { sender, send } = senderFor()
    for (let i = 0; i < 5; i += 1) {
      expect(await send(target.url)).toMatchObject({ error: null })
      await expect.poll(() => sender.size, { interval: 1 }).toEqual({ origins: 0, connections: 0 })
    }
  })

  it('that the receiver wants closed are not used again', async () => {
    const target = await receiver((_, __, response) => response.writeHead(200, { connection: 'close' }).end('ok'))
    const { send } = senderFor({ maxConnectionsPerOrigin: 2 })
    const all = await Promise.all(Array.from({ length: 20 }, () => send(target.url)))
    expect(all.every(({ error }) => error === null)).toBe(true)
  })

  it('are made anew after five minutes, so that a name may move', async () => {
    const target = await counted()
    const clock = fakeClock()
    const { send } = senderFor({ clock })
    const url = `http://a.test:${target.port}/`
    await send(url)
    clock.advance(5 * 60_000)
    await send(url)
    expect(target.made()).toBe(1)
    clock.advance(1)
    await send(url) // the last on the old one
    await send(url)
    expect(target.made()).toBe(2)
  })
})

describe('a deadline', () => {
  const endless = () => rawReceiver(() => {})

  it('is the exchange’s own, and never later than the sender’s', async () => {
    const { port } = await endless()
    const took = async (sendersMs: number, ownMs?: number) => {
      const { send } = senderFor({ timeoutMs: sendersMs })
      const { error, durationMs } = await send(`http://127.0.0.1:${port}/`, ownMs)
      expect(error).toBe('timeout')
      return durationMs
    }
    // Whoever waited for the wrong one would wait for a minute.
    const [none, sooner, later] = await Promise.all([took(300), took(60_000, 100), took(300, 60_000)])
    for (const ms of [none, later]) expect(ms).toBeGreaterThanOrEqual(295)
    expect(sooner).toBeGreaterThanOrEqual(95)
  })

  it('covers the wait for a free connection, and wakes nobody for those that gave up', async () => {
    let answerAll = false
    const waiting: (() => void)[] = []
    const { port } = await rawReceiver((socket) => {
      const answer = () => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok')
      if (answerAll) answer()
      else waiting.push(answer)
    })
    const { sender, send } = senderFor({ maxConnectionsPerOrigin: 1 })
    const url = `http://127.0.0.1:${port}/`
    const first = send(url)
    const impatient = await Promise.all([send(url, 80), send(url, 80)])
    expect(impatient).toMatchObject([{ error: 'timeout' }, { error: 'timeout' }])
    const patient = send(url)
    answerAll = true
    for (const answer of waiting) answer()
    expect(await Promise.all([first, patient])).toMatchObject([{ error: null }, { error: null }])
    expect(sender.size).toEqual({ origins: 1, connections: 1 })
  })
})

describe('a sender that is told to stop', () => {
  it('ends what waits, connects and runs, and what comes later', async () => {
    const { port } = await rawReceiver(() => {})
    const { sender, send } = senderFor({ maxConnectionsPerOrigin: 1 })
    const all = [
      send(`http://127.0.0.1:${port}/`),
      send(`http://127.0.0.1:${port}/`),
      send(`https://127.0.0.1:${port}/`),
    ]
    sender.abort()
    all.push(send(`http://127.0.0.1:${port}/`))
    for (const { error } of await Promise.all(all)) expect(error).toBe('worker_stopped')
    await sender.close()
    expect(sender.size).toEqual({ origins: 0, connections: 0 })
  })
})

it('refuses headers that cannot be sent, and leaves the connections alone', async () => {
  const target = await counted()
  const { sender, send } = senderFor()
  const url = `http://a.test:${target.port}/`
  await send(url)
  const exchange = await sender.send({ url, headers: { 'x-bad': 'a\r\nb' }, body: '' })
  expect(exchange).toMatchObject({ error: 'send_failed', status: null })
  expect(await sender.send({ url: 'nowhere', headers: {}, body: '' })).toMatchObject({ error: 'send_failed' })
  expect(await send(url)).toMatchObject({ error: null })
})

it('resumes TLS with a receiver it knows', async () => {
  const resumed: boolean[] = []
  const secure = await secureReceiver((_, request, response) => {
    resumed.push((request.socket as import('node:tls').TLSSocket).isSessionReused())
    response.writeHead(200, { connection: 'close' }).end('ok')
  })
  const { send } = senderFor()
  for (let i = 0; i < 3; i += 1) await send(`https://hooks.test:${secure.port}/`)
  expect(resumed).toEqual([false, true, true])
})
