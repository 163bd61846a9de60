/** Both ways with the two libraries that receivers are most likely to use. */
import { generateKeyPairSync, sign } from 'node:crypto'
import { systemRandom } from '@org/core'
import { verifyWebhook, WebhookVerificationError } from '@org/webhooks/verify'
import fc from 'fast-check'
import { Webhook as Standard } from 'standardwebhooks'
import { Webhook as Svix } from 'svix'
import { describe, expect, it } from 'vitest'
import { createSigningKey } from '../src/signing/keys.js'
import { createSigner } from '../src/signing/sign.js'

const { signatureHeaders } = createSigner()
const secret = `whsec_${Buffer.alloc(32, 7).toString('base64')}`
const other = `whsec_${Buffer.alloc(24, 9).toString('base64')}`
const timestamp = Math.floor(Date.now() / 1000) // their libraries read the system's clock
const at = new Date(timestamp * 1000)
const body = '{"type":"key.created","data":{"name":"Ünïcode 🪝"}}'
const content = { id: 'msg_1', timestamp, body }
const refused = (work: () => unknown) => expect(work).toThrow(WebhookVerificationError)

describe.each([
  ['standardwebhooks', (key: string) => new Standard(key)],
  ['svix', (key: string) => new Svix(key)],
])('with %s', (name, library) => {
  it('ours verify there, also while secrets are rotated and next to Ed25519', () => {
    const { privateKey } = createSigningKey(systemRandom)
    for (const secrets of [[secret], [other, secret], [privateKey, secret], [secret, privateKey]]) {
      expect(library(secret).verify(body, signatureHeaders(content, secrets))).toEqual(JSON.parse(body))
    }
    expect(() => library(secret).verify(body, signatureHeaders(content, [other]))).toThrow()
    expect(() => library(secret).verify(body, signatureHeaders(content, [privateKey]))).toThrow()
    expect(() => library(secret).verify(`${body} `, signatureHeaders(content, [secret]))).toThrow()
  })

  it('theirs verify here', () => {
    const headers = {
      'webhook-id': 'msg_2',
      'webhook-timestamp': String(timestamp),
      'webhook-signature': library(secret).sign('msg_2', at, body),
    }
    expect(verifyWebhook(secret, headers, body)).toEqual(JSON.parse(body))
    expect(verifyWebhook([other, secret], headers, body)).toEqual(JSON.parse(body))
    refused(() => verifyWebhook(other, headers, body))
    refused(() => verifyWebhook(secret, { ...headers, 'webhook-id': 'msg_3' }, body))
  })

  it('both agree on any body, byte for byte', () => {
    fc.assert(
      fc.property(fc.json(), fc.string({ minLength: 1 }), (text, id) => {
        const ours = signatureHeaders({ id, timestamp, body: text }, [secret])['webhook-signature']
        expect(ours).toBe(library(secret).sign(id, at, text))
      }),
    )
  })

  it(`takes the names that Svix sends, as we do: ${name}`, () => {
    const signature = library(secret).sign('msg_2', at, body)
    const headers = { 'svix-id': 'msg_2', 'svix-timestamp': String(timestamp), 'svix-signature': signature }
    expect(verifyWebhook(secret, headers, body)).toEqual(JSON.parse(body))
    refused(() => verifyWebhook(secret, { ...headers, 'svix-id': 'msg_3' }, body))
  })
})

describe('Ed25519 with keys of node:crypto', () => {
  const pair = generateKeyPairSync('ed25519')
  const jwk = pair.privateKey.export({ format: 'jwk' })
  const text = (prefix: string, part: string | undefined) => {
    return prefix + Buffer.from(part ?? '', 'base64url').toString('base64')
  }
  const signedContent = Buffer.from(`msg_1.${timestamp}.${body}`)

  it('a signature made there verifies here', () => {
    const headers = {
      'webhook-id': 'msg_1',
      'webhook-timestamp': String(timestamp),
      'webhook-signature': `v1a,${sign(null, signedContent, pair.privateKey).toString('base64')}`,
    }
    expect(verifyWebhook(text('whpk_', jwk.x), headers, body)).toEqual(JSON.parse(body))
    refused(() => verifyWebhook(createSigningKey(systemRandom).publicKey, headers, body))
  })

  it('ours are the same, byte for byte: Ed25519 is deterministic', () => {
    const theirs = `v1a,${sign(null, signedContent, pair.privateKey).toString('base64')}`
    expect(signatureHeaders(content, [text('whsk_', jwk.d)])['webhook-signature']).toBe(theirs)
  })
})
