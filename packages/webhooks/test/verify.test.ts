import { systemRandom } from '@org/core'
import { verifyWebhook, WebhookVerificationError } from '@org/webhooks/verify'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createSigningKey } from '../src/signing/keys.js'
import { createSigner } from '../src/signing/sign.js'

const { signatureHeaders } = createSigner()

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

describe('public keys', () => {
  const { privateKey, publicKey } = createSigningKey(systemRandom)
  const stranger = createSigningKey(systemRandom)
  const check = (secrets: string[], headers: Record<string, string>, of = body) =>
    codeOf(() => verifyWebhook(secrets, headers, of, { now }))

  it('verify v1a, alone or among secrets, and secrets verify v1', () => {
    for (const secrets of [[publicKey], [secret, publicKey], [stranger.publicKey, publicKey]]) {
      expect(check(secrets, signed([privateKey]))).toBe(null)
    }
    expect(check([publicKey], signed([secret, privateKey]))).toBe(null)
    expect(check([publicKey, secret], signed([secret]))).toBe(null)
    expect(check([stranger.publicKey, secret], signed([privateKey]))).toBe('signature_mismatch')
  })

  it('never serve as the secret of an HMAC, nor a secret as a key', () => {
    const bytes = publicKey.slice('whpk_'.length)
    expect(check([publicKey], signed([`whsec_${bytes}`]))).toBe('signature_mismatch')
    expect(check([`whsec_${bytes}`], signed([privateKey]))).toBe('signature_mismatch')
    const relabelled = (from: string, to: string, by: string) => ({
      ...signed([by]),
      'webhook-signature': signed([by])['webhook-signature']?.replace(from, to) ?? '',
    })
    expect(check([publicKey], relabelled('v1a,', 'v1,', privateKey))).toBe('signature_mismatch')
    expect(check([secret], relabelled('v1,', 'v1a,', secret))).toBe('signature_mismatch')
  })

  it.each([
    'whpk_',
    'whpk_AAAA',
    `whpk_${Buffer.alloc(33, 1).toString('base64')}`,
    `whpk_${Buffer.alloc(32).toString('base64')}`, // everybody can sign for it
    `whpk_${Buffer.concat([Buffer.of(1), Buffer.alloc(31)]).toString('base64')}`,
    privateKey,
  ])('are refused when they are none: %s', (text) => {
    expect(check([text], signed([privateKey]))).toBe('invalid_secret')
    expect(check([text, secret], signed([secret]))).toBe('invalid_secret')
  })
})

describe('svix headers', () => {
  const renamed = (headers: Record<string, string>) =>
    Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.replace('webhook-', 'svix-'), value]))
  const check = (headers: Record<string, string>) => codeOf(() => verifyWebhook(secret, headers, body, { now }))

  it('are taken when they are complete and there are no others', () => {
    expect(check(renamed(signed()))).toBe(null)
    expect(codeOf(() => verifyWebhook(secret, new Headers(renamed(signed())), body, { now }))).toBe(null)
    expect(check(renamed(signed([other])))).toBe('signature_mismatch')
    expect(check(renamed(signed([secret], timestamp - 301)))).toBe('timestamp_too_old')
  })

  it.each(['id', 'timestamp', 'signature'])('are passed over when there is a webhook-%s', (part) => {
    const one = { [`webhook-${part}`]: signed()[`webhook-${part}`] ?? '' }
    expect(check({ ...renamed(signed()), ...one })).toBe('missing_header')
    const { [`svix-${part}`]: _, ...rest } = renamed(signed())
    expect(check(rest)).toBe('missing_header')
    expect(check({ ...rest, ...one })).toBe('missing_header')
    expect(() => verifyWebhook(secret, rest, body, { now })).toThrow(`svix-${part} is missing`)
  })

  it('do not override those of the specification', () => {
    expect(check({ ...signed([other]), ...renamed(signed()) })).toBe('signature_mismatch')
    expect(check({ ...signed(), ...renamed(signed([other])) })).toBe(null)
  })
})

describe('any bit that is changed', () => {
  const { privateKey, publicKey } = createSigningKey(systemRandom)
  const flip = (text: string, bit: number) => {
    const bytes = Buffer.from(text)
    const at = (bit >> 3) % bytes.length
    bytes[at] = (bytes[at] ?? 0) ^ (1 << (bit & 7))
    return bytes
  }

  it.each([
    ['v1', secret, secret],
    ['v1a', privateKey, publicKey],
  ])('of body, id, timestamp or signature fails with %s', (_, signingKey, verifyingKey) => {
    const headers = signed([signingKey])
    expect(codeOf(() => verifyWebhook(verifyingKey, headers, body, { now }))).toBe(null)
    const part = fc.constantFrom('body', 'webhook-id', 'webhook-timestamp', 'webhook-signature')
    fc.assert(
      fc.property(part, fc.nat(8 * 200), (name, bit) => {
        const code = codeOf(() => {
          if (name === 'body') return verifyWebhook(verifyingKey, headers, flip(body, bit), { now })
          const changed = flip(headers[name] ?? '', bit).toString('latin1')
          return verifyWebhook(verifyingKey, { ...headers, [name]: changed }, body, { now })
        })
        expect(code).toMatch(/^(signature_mismatch|malformed_header|timestamp_too_(old|new))$/)
      }),
      { numRuns: 1_000 },
    )
  })

  it('of the spelling fails too: without padding, or with more behind it', () => {
    for (const [signingKey, verifyingKey] of [
      [secret, secret],
      [privateKey, publicKey],
    ] as const) {
      const signature = signed([signingKey])['webhook-signature'] ?? ''
      const check = (text: string) =>
        codeOf(() => verifyWebhook(verifyingKey, { ...signed([signingKey]), 'webhook-signature': text }, body, { now }))
      expect(check(`v1,AAAA ${signature} v9,x`)).toBe(null)
      for (const changed of [signature.replace(/=+$/, ''), `${signature},more`, `${signature}=`, `${signature}\n`]) {
        expect([changed, check(changed)]).toEqual([changed, 'signature_mismatch'])
      }
    }
  })

  it('of the signature fails: every one of them, padding included', () => {
    for (const [signingKey, verifyingKey] of [
      [secret, secret],
      [privateKey, publicKey],
    ] as const) {
      const headers = signed([signingKey])
      const signature = headers['webhook-signature'] ?? ''
      for (let bit = 0; bit < signature.length * 8; bit++) {
        const changed = { ...headers, 'webhook-signature': flip(signature, bit).toString('latin1') }
        expect(codeOf(() => verifyWebhook(verifyingKey, changed, body, { now }))).toBe('signature_mismatch')
      }
    }
  })
})
