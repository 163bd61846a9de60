import { verifyWebhook, WebhookVerificationError } from '@org/webhooks/verify'
import fc from 'fast-check'
import { Webhook as Standard } from 'standardwebhooks'
import { Webhook as Svix } from 'svix'
import { describe, expect, it } from 'vitest'
import { signatureHeaders } from '../src/delivery/sign.js'

const secret = `whsec_${Buffer.alloc(32, 7).toString('base64')}`
const other = `whsec_${Buffer.alloc(24, 9).toString('base64')}`
const now = Date.now()
const timestamp = Math.floor(now / 1000)
const body = '{"type":"key.created","timestamp":"2026-01-01T00:00:00.000Z","data":{"name":"Ünïcode 🪝"}}'
const signed = (secrets = [secret], at = timestamp) => signatureHeaders({ id: 'msg_1', timestamp: at, body }, secrets)

const codeOf = (work: () => unknown) => {
  try {
    work()
  } catch (error) {
    if (error instanceof WebhookVerificationError) return error.code
    throw error
  }
  return null
}

describe('signatures', () => {
  it('of ours verify with standardwebhooks and svix', () => {
    for (const library of [new Standard(secret), new Svix(secret)]) {
      expect(library.verify(body, signed())).toEqual(JSON.parse(body))
      expect(library.verify(body, signed([other, secret]))).toEqual(JSON.parse(body))
      expect(() => library.verify(body, signed([other]))).toThrow()
    }
  })

  it('of standardwebhooks and svix verify with ours', () => {
    const at = new Date(timestamp * 1000)
    for (const library of [new Standard(secret), new Svix(secret)]) {
      const headers = {
        'webhook-id': 'msg_2',
        'webhook-timestamp': String(timestamp),
        'webhook-signature': library.sign('msg_2', at, body),
      }
      expect(verifyWebhook(secret, headers, body)).toEqual(JSON.parse(body))
      expect(codeOf(() => verifyWebhook(other, headers, body))).toBe('signature_mismatch')
    }
  })

  it('agree with standardwebhooks on any body, byte for byte', () => {
    const library = new Standard(secret)
    fc.assert(
      fc.property(fc.json(), fc.string({ minLength: 1 }), (text, id) => {
        const theirs = library.sign(id, new Date(timestamp * 1000), text)
        expect(signatureHeaders({ id, timestamp, body: text }, [secret])['webhook-signature']).toBe(theirs)
      }),
    )
  })
})

describe('verifyWebhook', () => {
  it('takes one secret or several, with or without the prefix', () => {
    for (const secrets of [secret, [secret], [other, secret], secret.replace('whsec_', '')]) {
      expect(verifyWebhook(secrets, signed(), body, { now })).toEqual(JSON.parse(body))
    }
  })

  it('takes fetch headers, Node.js headers in any case, and bytes', () => {
    const upper = Object.fromEntries(Object.entries(signed()).map(([name, value]) => [name.toUpperCase(), value]))
    expect(verifyWebhook(secret, new Headers(signed()), body, { now })).toEqual(JSON.parse(body))
    expect(verifyWebhook(secret, upper, Buffer.from(body), { now })).toEqual(JSON.parse(body))
    expect(verifyWebhook(secret, signed(), new TextEncoder().encode(body), { now })).toEqual(JSON.parse(body))
  })

  it.each(['webhook-id', 'webhook-timestamp', 'webhook-signature'])(
    'refuses when %s is missing, empty or doubled',
    (name) => {
      const check = (value: string | string[] | undefined) => {
        return codeOf(() => verifyWebhook(secret, { ...signed(), [name]: value }, body, { now }))
      }
      expect(check(undefined)).toBe('missing_header')
      expect(check('')).toBe('missing_header')
      expect(check(['a', 'b'])).toBe('malformed_header')
    },
  )

  it.each([
    ['webhook-id', 'msg_other'],
    ['webhook-timestamp', String(timestamp - 1)],
    ['webhook-signature', signed([other])['webhook-signature']],
    ['webhook-signature', 'v1,'],
    ['webhook-signature', 'v1'],
    ['webhook-signature', signed()['webhook-signature']?.replace('v1,', 'v2,')],
    ['webhook-signature', signed()['webhook-signature']?.slice(0, -8)],
  ])('refuses a changed %s: %s', (name, value) => {
    expect(codeOf(() => verifyWebhook(secret, { ...signed(), [name]: value }, body, { now }))).toBe(
      'signature_mismatch',
    )
  })

  it('refuses any changed body', () => {
    fc.assert(
      fc.property(fc.nat(body.length - 1), fc.string({ minLength: 1, maxLength: 3 }), (at, text) => {
        const changed = body.slice(0, at) + text + body.slice(at + text.length)
        fc.pre(changed !== body)
        expect(codeOf(() => verifyWebhook(secret, signed(), changed, { now }))).toBe('signature_mismatch')
      }),
    )
  })

  it('bounds the clock both ways, 300 seconds unless told', () => {
    const at = (seconds: number, options = {}) =>
      codeOf(() => verifyWebhook(secret, signed([secret], timestamp + seconds), body, { now, ...options }))
    expect([at(-300), at(300), at(-301), at(301)]).toEqual([null, null, 'timestamp_too_old', 'timestamp_too_new'])
    expect([at(-10, { tolerance: 10 }), at(-11, { tolerance: 10 })]).toEqual([null, 'timestamp_too_old'])
  })

  it.each([Number.NaN, Number.POSITIVE_INFINITY, -1, 0, null, 'no'])(
    'cannot be switched off by a tolerance of %s',
    (value) => {
      const options = { now, tolerance: value as number }
      expect(codeOf(() => verifyWebhook(secret, signed(), body, options))).toBe('invalid_option')
    },
  )

  it('cannot be switched off by a broken clock', () => {
    expect(codeOf(() => verifyWebhook(secret, signed(), body, { now: Number.NaN }))).toBe('invalid_option')
  })

  it.each(['', 'abc', '-1', '1e9', '0x10', ' 1', '1.5', '9'.repeat(20)])('refuses the timestamp %j', (value) => {
    const headers = { ...signed(), 'webhook-timestamp': value }
    expect(codeOf(() => verifyWebhook(secret, headers, body, { now }))).toMatch(/header/)
  })

  it.each([[''], ['whsec_'], [[]], [undefined], [['whsec_%%%']], [['whsec_a']], [[secret, '']]])(
    'refuses the secrets %j',
    (secrets) => {
      expect(codeOf(() => verifyWebhook(secrets as string[], signed(), body, { now }))).toBe('invalid_secret')
    },
  )

  it('refuses a parsed body, and one that is not JSON', () => {
    expect(codeOf(() => verifyWebhook(secret, signed(), JSON.parse(body), { now }))).toBe('invalid_body')
    const headers = signatureHeaders({ id: 'msg_1', timestamp, body: 'plain' }, [secret])
    expect(codeOf(() => verifyWebhook(secret, headers, 'plain', { now }))).toBe('malformed_payload')
  })
})
