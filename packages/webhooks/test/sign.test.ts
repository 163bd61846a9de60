import { createHmac, createPublicKey, verify } from 'node:crypto'
import { parse, systemRandom } from '@org/core'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { boundedMap } from '../src/signing/bounded-map.js'
import { ExtraSignature, extraSignatureHeader } from '../src/signing/extra.js'
import { HeaderName, HeaderValue, isReservedHeader } from '../src/signing/headers.js'
import { createSecret, createSigningKey } from '../src/signing/keys.js'
import { createSigner } from '../src/signing/sign.js'

const { signatureHeaders } = createSigner()
const content = { id: 'msg_1', timestamp: 1_767_225_600, body: '{"data":"Ünïcode 🪝"}' }
const signatureOf = (secrets: string[], of = content) => signatureHeaders(of, secrets)['webhook-signature'] ?? ''
const hmac = (key: string | Buffer, text: string, encoding: 'hex' | 'base64' = 'hex') =>
  createHmac('sha256', key).update(text).digest(encoding)

describe('signatures', () => {
  // The specification's own example of an Ed25519 signature, and that of Svix's libraries for HMAC.
  it('are those of the specification', () => {
    const published = { id: 'msg_p5jXN8AQM9LWM0D4loKWxJek', timestamp: 1614265330, body: '{"test": 2432232314}' }
    const seed = '6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg=='
    const asymmetric = 'v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg=='
    const symmetric = 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE='
    const secrets = [`whsk_${seed}`, 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw']
    expect(signatureHeaders(published, secrets)).toEqual({
      'webhook-id': published.id,
      'webhook-timestamp': '1614265330',
      'webhook-signature': `${asymmetric} ${symmetric}`,
    })
  })

  it('stand in the order of the secrets, of both kinds', () => {
    const secret = createSecret(systemRandom)
    const { privateKey, publicKey } = createSigningKey(systemRandom)
    const [first = '', second = '', third] = signatureOf([privateKey, secret]).split(' ')
    const text = `msg_1.1767225600.${content.body}`
    expect(second).toBe(`v1,${hmac(Buffer.from(secret.slice(6), 'base64'), text, 'base64')}`)
    expect(third).toBe(undefined)
    // Read by Node.js as a JWK, not by our own code.
    const x = Buffer.from(publicKey.slice(5), 'base64').toString('base64url')
    const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' })
    expect(first).toMatch(/^v1a,[A-Za-z0-9+/]{86}==$/)
    expect(verify(null, Buffer.from(text), key, Buffer.from(first.slice(4), 'base64'))).toBe(true)
    expect(signatureOf([secret, privateKey])).toBe(`${second} ${first}`)
  })

  it.each([[[]], [['']], [['whsec_']], [['whsec_a']], [['whsec_%%']], [['plain']], [['whsk_AAAA']]])(
    'are not made with %j',
    (secrets) => {
      expect(() => signatureOf(secrets)).toThrow(expect.objectContaining({ code: 'setup_error' }))
    },
  )

  it('never show the secret in an error', () => {
    for (const secret of ['whsk_hush', 'whsec_hush!', 'hush']) {
      let message = ''
      try {
        signatureOf([secret])
      } catch (error) {
        message = (error as Error).message
      }
      expect(message).toContain('whsk_')
      expect(message).not.toContain('hush')
    }
  })
})

describe('a bounded map', () => {
  it('forgets what was asked for longest ago', () => {
    const map = boundedMap<string, number>(2)
    map.set('a', 1)
    map.set('b', 2)
    expect(map.get('a')).toBe(1)
    map.set('c', 3)
    expect([map.get('a'), map.get('b'), map.get('c')]).toEqual([1, undefined, 3])
    map.set('a', 4) // it has a place already
    map.delete('c')
    expect([map.get('a'), map.get('c')]).toEqual([4, undefined])
  })
})

describe('a second signature', () => {
  const secret = 'it’s not base64'
  const of = (scheme: ExtraSignature['scheme']) => extraSignatureHeader({ header: 'X-Old', scheme, secret }, content)

  it('is that of GitHub, of Stripe, or bare hex', () => {
    expect(of('hmac-sha256-hex')).toEqual(['x-old', hmac(secret, content.body)])
    expect(of('hmac-sha256-prefixed')).toEqual(['x-old', `sha256=${hmac(secret, content.body)}`])
    const timestamped = hmac(secret, `1767225600.${content.body}`)
    expect(of('timestamped')).toEqual(['x-old', `t=1767225600,v1=${timestamped}`])
  })

  // https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries has this example.
  it('agrees with the example in the documentation of GitHub', () => {
    const example = { ...content, body: 'Hello, World!' }
    const extra = {
      header: 'x-hub-signature-256',
      scheme: 'hmac-sha256-prefixed',
      secret: "It's a Secret to Everybody",
    }
    expect(extraSignatureHeader(ExtraSignature.parse(extra), example)).toEqual([
      'x-hub-signature-256',
      'sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17',
    ])
  })

  it('has a header of its own, a known scheme and a secret', () => {
    const good = { header: 'X-Old', scheme: 'timestamped', secret }
    const pointer = (patch: object) => {
      try {
        parse(ExtraSignature, { ...good, ...patch })
      } catch (error) {
        return (error as { errors: { pointer: string }[] }).errors[0]?.pointer
      }
      return null
    }
    expect(pointer({})).toBe(null)
    expect(pointer({ header: 'webhook-signature' })).toBe('/header')
    expect(pointer({ header: 'two words' })).toBe('/header')
    expect(pointer({ scheme: 'md5' })).toBe('/scheme')
    expect(pointer({ secret: '' })).toBe('/secret')
    expect(pointer({ more: 1 })).toBe('/more')
  })
})

describe('header names', () => {
  it.each([
    'webhook-id',
    'Webhook-Anything',
    'content-type',
    'Content-Length',
    'content-encoding',
    'host',
    'connection',
    'transfer-encoding',
    'te',
    'trailer',
    'upgrade',
    'keep-alive',
    'proxy-authorization',
    'expect',
    'User-Agent',
    'date',
    'traceparent',
    'tracestate',
    'accept-encoding',
    ':authority',
  ])('%s is ours', (name) => {
    expect(isReservedHeader(name)).toBe(true)
    expect(HeaderName.safeParse(name).success).toBe(false)
  })

  it.each(['authorization', 'X-Tenant', 'x-webhook-id', 'hosts', "!#$%&'*+-.^_`|~09aZ"])('%s may be added', (name) => {
    expect(isReservedHeader(name)).toBe(false)
    expect(HeaderName.parse(name)).toBe(name)
  })

  it.each(['', 'a b', 'a:b', 'a\r\nb', 'é', 'a,b', 'a'.repeat(129)])('%j is none', (name) => {
    expect(HeaderName.safeParse(name).success).toBe(false)
  })
})

describe('header values', () => {
  it.each(['a', 'Bearer abc.def', '~!@#', 'x'.repeat(4096)])('%s may be sent', (value) => {
    expect(HeaderValue.parse(value)).toBe(value)
  })

  it.each(['', ' ', ' a', 'a ', 'a\r\nx-evil: 1', 'a\nb', 'a\tb', 'a\0b', 'é', '\x7f', 'a\n', 'x'.repeat(4097)])(
    '%j may not',
    (value) => {
      expect(HeaderValue.safeParse(value).success).toBe(false)
    },
  )

  it('are accepted by fetch, all of them', () => {
    const value = fc.stringMatching(/^[\x21-\x7e][\x20-\x7e]{0,20}$/)
    fc.assert(
      fc.property(value, (text) => {
        const parsed = HeaderValue.safeParse(text)
        expect(parsed.success).toBe(text.trim() === text)
        if (parsed.success) expect(new Headers([['x-a', parsed.data]]).get('x-a')).toBe(text)
      }),
    )
  })

  it('are described for OpenAPI', () => {
    const schema = z.toJSONSchema(z.record(HeaderName, HeaderValue), { io: 'input' })
    expect(schema).toMatchObject({ propertyNames: { maxLength: 128 }, additionalProperties: { maxLength: 4096 } })
  })
})
