import { isIP } from 'node:net'
import { isProblem } from '@org/core'
import { createWebhooks, isAllowedAddress, memoryStorage } from '@org/webhooks'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

const ranges = [
  ...['0.0.0.0/8', '10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '169.254.0.0/16', '172.16.0.0/12', '192.0.0.0/24'],
  ...['192.0.2.0/24', '192.88.99.0/24', '192.168.0.0/16', '198.18.0.0/15', '198.51.100.0/24', '203.0.113.0/24'],
  ...[
    '224.0.0.0/4',
    '240.0.0.0/4',
    '::/96',
    '::1/128',
    '::ffff:0:0:0/96',
    '64:ff9b::/96',
    '64:ff9b:1::/48',
    '100::/64',
  ],
  ...['2001::/23', '2001:db8::/32', '2002::/16', '3fff::/20', '5f00::/16', 'fc00::/7', 'fe80::/10', 'fec0::/10'],
  'ff00::/8',
]

/** An independent reading of addresses, as big integers. */
function parts(ip: string): { value: bigint; bits: number } {
  if (isIP(ip) === 4) return { value: ip.split('.').reduce((sum, part) => sum * 256n + BigInt(part), 0n), bits: 32 }
  const [head = '', tail] = ip.split('::')
  const words = (text: string) => (text === '' ? [] : text.split(':'))
  const start = words(head)
  const end = tail === undefined ? [] : words(tail)
  const zeros = tail === undefined ? 0 : 8 - start.length - end.length
  const all = [...start, ...Array<string>(zeros).fill('0'), ...end]
  return { value: all.reduce((sum, word) => sum * 65_536n + BigInt(`0x${word}`), 0n), bits: 128 }
}

function textOf(value: bigint, bits: number): string {
  if (bits === 32) return [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 255n).join('.')
  return Array.from({ length: 8 }, (_, i) => ((value >> BigInt(112 - 16 * i)) & 65_535n).toString(16)).join(':')
}

const spans = ranges.map((cidr) => {
  const [ip = '', length = ''] = cidr.split('/')
  const { value, bits } = parts(ip)
  return { cidr, bits, first: value, last: value + (1n << BigInt(bits - Number(length))) - 1n }
})

const mappedBase = 0xffff00000000n

function isForbidden(value: bigint, bits: number): boolean {
  if (bits === 128 && value >> 32n === 0xffffn) return isForbidden(value - mappedBase, 32)
  return spans.some((span) => span.bits === bits && value >= span.first && value <= span.last)
}

describe('isAllowedAddress', () => {
  it.each(spans)('refuses $cidr to its edges', ({ bits, first, last }) => {
    for (const value of [first, last]) expect(isAllowedAddress(textOf(value, bits)), textOf(value, bits)).toBe(false)
    for (const value of [first - 1n, last + 1n]) {
      if (value < 0n || value >> BigInt(bits) > 0n) continue
      expect(isAllowedAddress(textOf(value, bits)), textOf(value, bits)).toBe(!isForbidden(value, bits))
    }
  })

  it('agrees with the list for any IPv4 address, mapped or not', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: (1n << 32n) - 1n }), (value) => {
        const ip = textOf(value, 32)
        expect(isAllowedAddress(ip)).toBe(!isForbidden(value, 32))
        expect(isAllowedAddress(`::ffff:${ip}`)).toBe(!isForbidden(value, 32))
        expect(isAllowedAddress(textOf(value + mappedBase, 128))).toBe(!isForbidden(value, 32))
      }),
    )
  })

  it('agrees with the list for any IPv6 address, near a range or far', () => {
    const near = fc
      .tuple(
        fc.constantFrom(...spans.filter(({ bits }) => bits === 128)),
        fc.bigInt({ min: -5n, max: 5n }),
        fc.boolean(),
      )
      .map(([span, offset, end]) => (end ? span.last : span.first) + offset)
      .filter((value) => value >= 0n && value >> 128n === 0n)
    fc.assert(
      fc.property(fc.oneof(near, fc.bigInt({ min: 0n, max: (1n << 128n) - 1n })), (value) => {
        expect(isAllowedAddress(textOf(value, 128))).toBe(!isForbidden(value, 128))
      }),
    )
  })

  it('allows the public internet', () => {
    for (const ip of ['8.8.8.8', '1.1.1.1', '172.32.0.1', '100.128.0.1', '2606:4700::1111', '::ffff:8.8.8.8']) {
      expect(isAllowedAddress(ip), ip).toBe(true)
    }
  })

  it.each([
    '',
    'localhost',
    '0x7f.1',
    '2130706433',
    '127.1',
    '8.8.8.8 ',
    '[::1]',
    'fe80::1%eth0',
    '2606::1%1',
    '8.8.8.8/8',
  ])('refuses %j, which is no plain address', (text) => expect(isAllowedAddress(text)).toBe(false))
})

const whyRefused = async (url: string, network = {}) => {
  const webhooks = createWebhooks({ storage: memoryStorage(), network })
  const error = await webhooks.endpoints.create({ tenantId: 't1' }, { url }).catch((caught: unknown) => caught)
  if (!isProblem(error)) return null
  expect(error.status).toBe(422)
  expect(error.errors?.map(({ pointer }) => pointer)).toEqual(['/url'])
  return error.errors?.[0]?.detail
}

describe('an endpoint URL', () => {
  it.each([
    'https://127.0.0.1/',
    'https://0x7f.1/',
    'https://2130706433/',
    'https://①②⑦.①/',
    'https://127.0.0.1./',
    'https://localhost/',
    'https://localhost./',
    'https://LOCALHOST:8443/',
    'https://api.localhost/',
    'https://[::1]/',
    'https://[::ffff:10.0.0.1]/',
    'https://[::ffff:7f00:1]/',
    'https://10.1.2.3/',
    'https://169.254.169.254/latest/meta-data',
  ])('%s is refused as private', async (url) => {
    expect(await whyRefused(url)).toMatch(/private, loopback or reserved/)
  })

  it.each([
    ['http://example.com/', /^must start with https:/],
    ['ftp://example.com/', /^must start with https:/],
    ['//example.com', /absolute URL/],
    ['example.com/hooks', /absolute URL/],
    ['https://user@example.com/', /user name or password/],
    ['https://:secret@example.com/', /user name or password/],
    ['https://example.com/#top', /fragment/],
    ['https://example.com:0/', /port 0/],
  ])('%s is refused, saying why', async (url, why) => {
    expect(await whyRefused(url)).toMatch(why)
  })

  it.each([
    'https://example.com/hooks?x=1',
    'https://example.com:8443/',
    'https://8.8.8.8/',
    'https://[2606:4700::1111]/',
  ])('%s is taken', async (url) => expect(await whyRefused(url)).toBe(null))

  it('may be plain http only where the host named the address', async () => {
    const allow = ['127.0.0.0/8', '10.9.0.0/16', 'fd00::1']
    expect(await whyRefused('https://10.9.1.1/', { allow })).toBe(null)
    expect(await whyRefused('https://[fd00::1]/', { allow })).toBe(null)
    expect(await whyRefused('https://10.8.1.1/', { allow })).toMatch(/private/)
    expect(await whyRefused('http://10.9.1.1/', { allow })).toMatch(/https/)
    expect(await whyRefused('http://10.9.1.1/', { allow, allowHttp: true })).toBe(null)
    expect(await whyRefused('http://localhost:3000/', { allow, allowHttp: true })).toBe(null)
    expect(await whyRefused('http://8.8.8.8/', { allow, allowHttp: true })).toMatch(/plain http is not delivered/)
    expect(await whyRefused('http://127.0.0.1/', { allowHttp: true })).toMatch(/plain http is not delivered/)
  })

  it.each(['10.0.0.0/33', '10.0.0/8', 'internal', '10.0.0.0/8/8', '10.0.0.0/x', '::/129', '10.0.0.0/'])(
    'cannot be allowed by %j',
    (cidr) => {
      expect(() => createWebhooks({ storage: memoryStorage(), network: { allow: [cidr] } })).toThrow(/CIDR/)
    },
  )
})
