/** How names are resolved, against nameservers of the test's own. */
import { createSocket } from 'node:dgram'
import { lookup as systemLookup } from 'node:dns/promises'
import type { LookupFunction } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createLookup } from '../src/delivery/lookup.js'

type Reply = 'silence' | 'unknown' | 'failure' | 'address'

/** Answers by what `reply` says of a name and a type of record: 1 for IPv4, 28 for IPv6 (RFC 1035, RFC 3596). */
async function nameserver(reply: (name: string, type: number) => Reply): Promise<{ at: string; asked: string[] }> {
  const socket = createSocket('udp4')
  const asked: string[] = []
  socket.on('message', (query, from) => {
    const labels: string[] = []
    let at = 12
    for (; query[at]; at += 1 + (query[at] ?? 0))
      labels.push(query.toString('latin1', at + 1, at + 1 + (query[at] ?? 0)))
    const type = query.readUInt16BE(at + 1)
    const name = labels.join('.')
    asked.push(`${name} ${type}`)
    const how = reply(name, type)
    if (how === 'silence') return
    const header = Buffer.from(query.subarray(0, 12))
    header.writeUInt16BE(0x8180 + { unknown: 3, failure: 2, address: 0 }[how], 2)
    header.writeUInt16BE(how === 'address' ? 1 : 0, 6)
    header.writeUInt32BE(0, 8)
    const address = type === 1 ? Buffer.from([203, 0, 113, 7]) : Buffer.from('20010db8000000000000000000000007', 'hex')
    const record = Buffer.from([0xc0, 12, 0, type, 0, 1, 0, 0, 0, 60, 0, address.length])
    const answer = how === 'address' ? [record, address] : []
    socket.send(Buffer.concat([header, query.subarray(12, at + 5), ...answer]), from.port, from.address)
  })
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve))
  onTestFinished(() => void socket.close())
  return { at: `127.0.0.1:${socket.address().port}`, asked }
}

const ask = (lookup: LookupFunction, name: string) =>
  new Promise((resolve) => lookup(name, { all: true }, (error, found) => resolve(error ? error.code : found)))

describe('a name', () => {
  it('is asked for once by all who want it at the same time', async () => {
    const { at, asked } = await nameserver(() => 'address')
    const lookup = createLookup({ servers: [at] })
    const both = [
      { address: '203.0.113.7', family: 4 },
      { address: '2001:db8::7', family: 6 },
    ]
    expect(await Promise.all([1, 2, 3].map(() => ask(lookup, 'hooks.example.com')))).toEqual([both, both, both])
    expect(asked.sort()).toEqual(['hooks.example.com 1', 'hooks.example.com 28'])
  })

  it('does not wait for a nameserver that says nothing of IPv6', async () => {
    const { at } = await nameserver((_, type) => (type === 1 ? 'address' : 'silence'))
    const began = performance.now()
    expect(await ask(createLookup({ servers: [at] }), 'hooks.example.com')).toEqual([
      { address: '203.0.113.7', family: 4 },
    ])
    // The nameserver is waited for for 3 s and more.
    expect(performance.now() - began).toBeLessThan(2_000)
  })

  it('that nobody answers for fails in time, and takes no thread from others meanwhile', async () => {
    const { at } = await nameserver(() => 'silence')
    const lookup = createLookup({ servers: [at] })
    const silent = Promise.all(Array.from({ length: 20 }, (_, n) => ask(lookup, `silent${n}.example.com`)))
    let ended = false
    void silent.then(() => {
      ended = true
    })
    expect(await systemLookup('localhost')).toBeTruthy()
    expect(ended).toBe(false)
    expect(new Set((await silent) as string[])).toEqual(new Set(['EAI_AGAIN']))
  }, 15_000)

  it('that the network does not know is looked for in the files of the system', async () => {
    const { at } = await nameserver(() => 'unknown')
    const known = [{ address: '10.0.0.9', family: 4 }]
    let asking = 0
    let most = 0
    const askSystem = async (hostname: string) => {
      most = Math.max(most, ++asking)
      await new Promise((resolve) => setTimeout(resolve, 20))
      asking--
      if (hostname === 'inside.example.com') return known
      throw Object.assign(new Error('no'), { code: 'ENOTFOUND' })
    }
    const lookup = createLookup({ servers: [at], askSystem })
    const names = ['inside.example.com', 'a.example.com', 'b.example.com']
    expect(await Promise.all(names.map((name) => ask(lookup, name)))).toEqual([known, 'ENOTFOUND', 'ENOTFOUND'])
    // A thread each: one at a time.
    expect(most).toBe(1)
    const failing = await nameserver(() => 'failure')
    expect(await ask(createLookup({ servers: [failing.at] }), 'hooks.example.com')).toBe('EAI_AGAIN')
  })
})
