/** What receivers may do to the sender: each ends in time, says what it was, and leaves the next exchange alone. */
import type { LookupFunction } from 'node:net'
import * as zlib from 'node:zlib'
import { systemClock } from '@org/core'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createAddressGuard } from '../src/delivery/address-guard.js'
import { createSender, type Exchange, type SenderOptions } from '../src/delivery/sender.js'
import { badChunk, drips, floods, type Hostile, ok, says, saysAndCloses } from './hostile.js'
import { closedPort, loopback, rawReceiver, receiver, secureReceiver, testRoot } from './receiver.js'

/** The deadline of an exchange that is meant to run into it, and of all others. */
const shortMs = 400
const timeoutMs = 15_000

/** What a busy machine may add to a deadline. */
const slack = 10_000

function senderFor(options: Partial<SenderOptions> = {}) {
  const guard = createAddressGuard(loopback)
  const sender = createSender({ guard, lookup: undefined, ca: testRoot, timeoutMs, clock: systemClock, ...options })
  onTestFinished(() => sender.close())
  const send = async (url: string, deadline = timeoutMs) => {
    const startedAt = performance.now()
    const exchange = await sender.send({
      url,
      headers: { 'content-type': 'application/json' },
      body: '{"a":1}',
      timeoutMs: deadline,
    })
    return { ...exchange, tookMs: performance.now() - startedAt }
  }
  return {
    send,
    get size() {
      return sender.size
    },
  }
}

/** The second request and those after it are answered well. */
const wellAnswered = 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello'

/** One exchange with a receiver that misbehaves once, and one right after. */
async function against(hostile: Hostile, deadline = timeoutMs) {
  const { port, open } = await rawReceiver((socket, request) => {
    if (request === 1) hostile(socket)
    else socket.write(wellAnswered)
  })
  const { send } = senderFor()
  const exchange = await send(`http://127.0.0.1:${port}/`, deadline)
  expect(exchange.tookMs).toBeLessThan(deadline + slack)
  expect(await send(`http://127.0.0.1:${port}/`)).toMatchObject({ error: null, status: 200, responseBody: 'hello' })
  await expect.poll(open).toBeLessThanOrEqual(1)
  return exchange
}

describe('a receiver that', () => {
  it.each<[string, Hostile, Partial<Exchange>]>([
    ['says nothing', () => {}, { status: null }],
    ['stops within its headers', says(`${ok}content-`), { status: null }],
    ['drips its headers', drips(`${ok}slow: `), { status: null }],
    ['stops before its body', says(`${ok}content-length: 9\r\n\r\n`), { status: 200, responseBody: '' }],
    ['stops within its body', says(`${ok}content-length: 9\r\n\r\nhalf`), { status: 200, responseBody: 'half' }],
    ['drips its body', drips(`${ok}content-length: 999\r\n\r\n`), { status: 200 }],
    ['drips a chunk', drips(`${ok}transfer-encoding: chunked\r\n\r\nff\r\n`), { status: 200 }],
  ])('%s runs into the deadline', async (_, hostile, expected) => {
    const exchange = await against(hostile, shortMs)
    expect(exchange).toMatchObject({ error: 'timeout', detail: expect.stringContaining('400 ms'), ...expected })
    expect(exchange.tookMs).toBeGreaterThanOrEqual(shortMs - 5)
    expect(exchange.responseTruncated).toBe(expected.status === 200)
  })

  it.each<[string, Hostile, Partial<Exchange>]>([
    ['closes at once', (socket) => socket.destroy(), { status: null }],
    ['resets', (socket) => socket.resetAndDestroy(), { status: null }],
    ['closes within its headers', saysAndCloses(`${ok}content-`), { status: null }],
    ['closes within its body', saysAndCloses(`${ok}content-length: 9\r\n\r\nhalf`), { responseBody: 'half' }],
    ['closes within a chunk', saysAndCloses(`${ok}transfer-encoding: chunked\r\n\r\n9\r\nhalf`), { status: 200 }],
  ])('%s has closed the connection', async (_, hostile, expected) => {
    const exchange = await against(hostile)
    expect(exchange).toMatchObject({ error: 'connection_closed', ...expected })
    expect(exchange.tookMs).toBeLessThan(timeoutMs)
  })

  it.each<[string, Hostile, Partial<Exchange>]>([
    ['garbage', says('\u0000\u0001 nothing like HTTP\r\n\r\n'), { status: null }],
    ['a bad chunk', badChunk, { status: 200 }],
    ['a bad content-length', says(`${ok}content-length: many\r\n\r\nhalf`), { status: null }],
    ['two lengths', says(`${ok}content-length: 2\r\ncontent-length: 5\r\n\r\nhello`), { status: null }],
    ['one huge header', says(`${ok}huge: ${'x'.repeat(20_000)}\r\n\r\n`), { status: null }],
    ['many headers', says(ok, ...Array<string>(2_000).fill('some: header\r\n'), '\r\n'), { status: null }],
    ['1xx for ever', says('HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n'.repeat(100)), { status: null }],
  ])('sends %s talks no HTTP', async (_, hostile, expected) => {
    const exchange = await against(hostile)
    expect(exchange).toMatchObject({ error: 'malformed_response', ...expected })
    expect(exchange.tookMs).toBeLessThan(timeoutMs)
  })

  it.each<[string, Partial<Exchange>]>([
    ['302 Found\r\nlocation: http://127.0.0.1:1/', { status: 302, error: 'redirect' }],
    ['410 Gone', { status: 410, error: 'gone' }],
    ['429 Slow Down\r\nretry-after: 7', { status: 429, error: 'http_status' }],
    ['500 Oh', { status: 500, error: 'http_status' }],
  ])('answers %j is told apart', async (head, expected) => {
    const exchange = await against(says(`HTTP/1.1 ${head}\r\ncontent-length: 2\r\n\r\nno`))
    expect(exchange).toMatchObject({ ...expected, responseBody: 'no', responseTruncated: false })
    if (expected.status === 429) expect(exchange.responseHeaders).toMatchObject({ 'retry-after': '7' })
  })

  it('gives early hints is waited for', async () => {
    const hints = 'HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n'
    const exchange = await against(says(hints, `${ok}x-final: 1\r\ncontent-length: 2\r\n\r\nok`))
    expect(exchange).toMatchObject({ error: null, status: 200, responseBody: 'ok' })
    expect(exchange.responseHeaders).toEqual({ 'x-final': '1', 'content-length': '2' })
  })

  it('sends 100 MB is hung up on', async () => {
    let written = 0
    const exchange = await against(
      floods((bytes) => {
        written += bytes
      }),
    )
    expect(exchange).toMatchObject({ error: null, status: 200, responseTruncated: true })
    expect(exchange.responseBody).toBe('x'.repeat(16 * 1024))
    expect(exchange.tookMs).toBeLessThan(timeoutMs)
    expect(written).toBeLessThan(20 * 1024 * 1024)
  })

  it('refuses is a failure, and may change its mind', async () => {
    const { send } = senderFor()
    expect(await send(await closedPort())).toMatchObject({ error: 'connection_refused', address: '127.0.0.1' })
    expect(await send((await receiver()).url)).toMatchObject({ error: null })
  })
})

describe('what comes after an answer', () => {
  const twice = (second: string) => says(`${ok}content-length: 5\r\n\r\nfirst${second}`)

  it.each([
    ['a second answer', 'HTTP/1.1 500 Oh\r\ncontent-length: 6\r\n\r\nsecond'],
    ['half an answer', 'HTTP/1.1 500 Oh\r\nconte'],
    ['garbage', 'and more'],
  ])('never reaches the next exchange: %s with it', async (_, second) => {
    expect(await against(twice(second))).toMatchObject({ error: null, responseBody: 'first' })
  })

  it.each([
    ['a second answer', 'HTTP/1.1 500 Oh\r\ncontent-length: 6\r\n\r\nsecond'],
    ['garbage', 'and more'],
  ])('never reaches the next exchange: %s a little later', async (_, second) => {
    const { port, connections } = await rawReceiver((socket, request) => {
      socket.write(`${ok}content-length: 1\r\n\r\n${request}`)
      if (request % 2 === 1) setImmediate(() => socket.write(second))
    })
    const sender = senderFor()
    const bodies: (string | null)[] = []
    for (let i = 1; i <= 9; i += 1) {
      const { error, responseBody } = await sender.send(`http://127.0.0.1:${port}/`)
      expect(error).toBe(null)
      bodies.push(responseBody)
      if (i % 2 === 1) await expect.poll(() => sender.size.connections, { interval: 1 }).toBe(0)
    }
    expect(bodies.join('')).toBe('123456789')
    expect(connections()).toBe(5)
  })

  it('reaches nobody when exchanges follow each other at once', async () => {
    const { port } = await rawReceiver((socket, request) => {
      socket.write(`${ok}content-length: 5\r\n\r\nfirst${request % 3 === 0 ? 'garbage' : ''}`)
    })
    const { send } = senderFor({ maxConnectionsPerOrigin: 2 })
    const all = await Promise.all(Array.from({ length: 60 }, () => send(`http://127.0.0.1:${port}/`)))
    expect(new Set(all.map(({ error, responseBody }) => `${error} ${responseBody}`))).toEqual(new Set(['null first']))
  })
})

describe('a compressed answer that nobody asked for', () => {
  const encoded = (coding: string, body: Buffer) =>
    says(`${ok}content-encoding: ${coding}\r\ncontent-length: ${body.length}\r\n\r\n`, body)

  it.each([
    ['gzip', zlib.gzipSync('read me')],
    ['x-gzip', zlib.gzipSync('read me')],
    ['GZIP ', zlib.gzipSync('read me')],
    ['deflate', zlib.deflateSync('read me')],
    ['deflate', zlib.deflateRawSync('read me')],
    ['br', zlib.brotliCompressSync('read me')],
    ['identity', Buffer.from('read me')],
    ['rot13', Buffer.from('read me')],
  ])('in %s is read', async (coding, body) => {
    const exchange = await against(encoded(coding, body))
    expect(exchange).toMatchObject({ error: null, responseBody: 'read me', responseTruncated: false })
  })

  it('in two codings at once is kept as it came', async () => {
    const twice = says(
      `${ok}content-encoding: gzip\r\ncontent-encoding: br\r\ncontent-length: 7\r\n\r\n`,
      Buffer.from('read me'),
    )
    expect(await against(twice)).toMatchObject({ error: null, responseBody: 'read me' })
  })

  const { zstdCompressSync } = zlib as { zstdCompressSync?: (data: string) => Buffer }
  it.runIf(zstdCompressSync)('in zstd is read', async () => {
    const exchange = await against(encoded('zstd', zstdCompressSync?.('read me') ?? Buffer.alloc(0)))
    expect(exchange).toMatchObject({ error: null, responseBody: 'read me', responseTruncated: false })
  })

  const fast = { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 1 } }
  it.each([
    // 2 GB, a member after the other
    ['gzip', Buffer.concat(Array<Buffer>(200).fill(zlib.gzipSync(Buffer.alloc(10 * 1024 * 1024, 'x'))))],
    // A few hundred bytes, which are read off the wire to their end
    ['br', zlib.brotliCompressSync(Buffer.alloc(64 * 1024 * 1024, 'x'), fast)],
  ])('is a bomb, and goes off nowhere: %s', async (coding, bomb) => {
    const before = process.memoryUsage()
    const exchange = await against(encoded(coding, bomb))
    const after = process.memoryUsage()
    expect(exchange).toMatchObject({ error: null, status: 200, responseTruncated: true })
    expect(exchange.responseBody).toBe('x'.repeat(16 * 1024))
    expect(exchange.tookMs).toBeLessThan(timeoutMs)
    expect(after.arrayBuffers - before.arrayBuffers).toBeLessThan(8 * 1024 * 1024)
  })

  // As good as random, so that the end of the compressed form stands for the end of the text.
  let state = 1
  const letter = () => {
    state = (state * 48_271) % 2_147_483_647
    return String.fromCharCode(97 + (state % 26))
  }
  const letters = Array.from({ length: 9_000 }, letter).join('')
  const broken = (whole: Buffer) => Buffer.concat([whole.subarray(0, whole.length - 20), Buffer.alloc(20, 0xff)])
  it.each([
    ['cut short', 'gzip', zlib.gzipSync(letters).subarray(0, -9)],
    ['cut short', 'br', zlib.brotliCompressSync(letters).subarray(0, -4)],
    ['broken', 'gzip', broken(zlib.gzipSync(letters, { level: 0 }))],
  ])('%s in %s is kept as far as it can be read', async (_, coding, body) => {
    const exchange = await against(encoded(coding, body))
    expect(exchange).toMatchObject({ error: null, status: 200, responseTruncated: true })
    const kept = exchange.responseBody ?? ''
    expect(kept.length).toBeGreaterThan(4_000)
    expect(letters.startsWith(kept.slice(0, 4_000))).toBe(true)
  })

  it.each(['gzip', 'deflate', 'br'])('that is no %s at all is no failure', async (coding) => {
    const exchange = await against(encoded(coding, Buffer.from('\u0001\u0002 plain')))
    expect(exchange).toMatchObject({ error: null, status: 200, responseBody: '', responseTruncated: true })
  })
})

describe('before there is HTTP', () => {
  it('a TLS handshake that hangs runs into the deadline', async () => {
    const { port, open } = await rawReceiver(() => {})
    const sender = senderFor()
    const { send } = sender
    const exchange = await send(`https://127.0.0.1:${port}/`, shortMs)
    expect(exchange).toMatchObject({ error: 'timeout', status: null, address: '127.0.0.1' })
    expect(sender.size).toEqual({ origins: 0, connections: 0 })
    await expect.poll(open).toBe(0)
    expect(exchange.tookMs).toBeLessThan(shortMs + slack)
    expect(await send((await secureReceiver()).url)).toMatchObject({ error: null, address: '127.0.0.1' })
  })

  it('plain HTTP where TLS was meant fails the handshake', async () => {
    const { port } = await receiver()
    const { send } = senderFor()
    expect(await send(`https://127.0.0.1:${port}/`)).toMatchObject({ error: 'tls_failed', status: null })
    expect(await send((await secureReceiver()).url)).toMatchObject({ error: null })
  })

  it('a lookup that never answers runs into the deadline', async () => {
    const lookup: LookupFunction = () => {}
    const { send } = senderFor({ lookup })
    const exchange = await send('https://hooks.test/', shortMs)
    expect(exchange).toMatchObject({ error: 'timeout', status: null, address: null })
    expect(exchange.tookMs).toBeLessThan(shortMs + slack)
    expect(await send((await secureReceiver()).url)).toMatchObject({ error: null })
  })
})
