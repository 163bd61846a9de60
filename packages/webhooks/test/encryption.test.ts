/** Secrets at rest as the engine meets them. */
import { createPublicKey, verify } from 'node:crypto'
import { createWebhooks, memoryStorage } from '@org/webhooks'
import { describe, expect, it } from 'vitest'
import { receiver } from './receiver.js'
import { testStorages } from './storages.js'
import { keyCreated, scope, world } from './world.js'

const key = (byte: number) => Buffer.alloc(32, byte).toString('base64')
const encryption = { keys: { old: key(1) }, current: 'old' }
const rotated = { keys: { old: key(1), new: key(2) }, current: 'new' }
const extraSignature = { header: 'X-Acme-Signature', scheme: 'timestamped', secret: 'a secret of old times' } as const

for (const { name, missing, open } of await testStorages()) {
  describe.skipIf(missing)(`secrets on ${name}`, () => {
    it('are sealed if the host gives a key, open under rotated keys, and sign the same', async () => {
      const { storage, close } = await open()
      const target = await receiver()
      const { webhooks } = world({ storage, encryption })
      const headers = { authorization: 'Bearer s3cret' }
      const { id, secret } = await webhooks.endpoints.create(scope, { url: target.url, headers, extraSignature })
      const stored = () => storage.read(({ endpoints }) => endpoints.byIds([id]))
      const text = JSON.stringify(await stored())
      expect(text).toContain('enc:1:old:')
      for (const plain of [secret, secret.slice(6), 's3cret', extraSignature.secret]) expect(text).not.toContain(plain)

      const { webhooks: later } = world({ storage, encryption: rotated })
      await later.publish(keyCreated)
      expect(await later.drain()).toMatchObject({ delivered: 1 })
      expect(target.received[0]?.headers).toMatchObject({
        authorization: 'Bearer s3cret',
        'x-acme-signature': expect.stringMatching(/^t=\d+,v1=[0-9a-f]{64}$/),
      })
      await later.endpoints.rotateSecret(scope, id)
      const [after] = await stored()
      expect(after?.secrets.map(({ value }) => value.split(':')[2])).toEqual(['new', 'old'])
      await close()
    })
  })
}

describe('a sealed secret', () => {
  it.each([
    ['without its key', { keys: { new: key(2) }, current: 'new' }],
    ['with another key of that name', { keys: { old: key(3) }, current: 'old' }],
  ])('does not open %s, and the delivery waits without using up its schedule', async (_, other) => {
    const storage = memoryStorage()
    const target = await receiver()
    const { webhooks } = world({ storage, encryption, retry: { scheduleMs: [0] } })
    await webhooks.endpoints.create(scope, { url: target.url })
    await webhooks.publish(keyCreated)
    const { webhooks: broken, log, clock } = world({ storage, encryption: other, retry: { scheduleMs: [0] } })
    for (let n = 0; n < 3; n++) {
      await broken.drain()
      clock.advance(60_000)
    }
    expect(target.received).toEqual([])
    expect(log.filter(({ message }) => /could not be signed/.test(message))).toHaveLength(3)
    expect((await webhooks.deliveries.list(scope)).data).toMatchObject([{ status: 'pending', attempts: 0 }])
  })

  it('does not open in the row of another endpoint', async () => {
    const storage = memoryStorage()
    const target = await receiver()
    const { webhooks, log } = world({ storage, encryption })
    const { id } = await webhooks.endpoints.create(scope, { url: target.url })
    const { id: other } = await webhooks.endpoints.create({ tenantId: 't2' }, { url: target.url })
    await storage.run(async ({ endpoints }) => {
      const [stolen] = await endpoints.byIds([other])
      await endpoints.update(id, { secrets: stolen?.secrets ?? [] })
    })
    await webhooks.publish(keyCreated)
    await webhooks.drain()
    expect(target.received).toEqual([])
    expect(log.map(({ message }) => message)).toContain('A webhook could not be signed')
  })

  it('wants a key that is one', () => {
    const bad = { keys: { a: 'short' }, current: 'a' }
    expect(() => createWebhooks({ storage: memoryStorage(), encryption: bad })).toThrow(/encryption/)
  })
})

describe('an Ed25519 endpoint', () => {
  it('signs with a key that never leaves, and goes on with the old one while it is rotated', async () => {
    const target = await receiver()
    const { webhooks, events } = world()
    const { id, secret, publicKey } = await webhooks.endpoints.create(scope, { url: target.url, signing: 'ed25519' })
    expect(secret).toMatch(/^whpk_/)
    expect(publicKey).toBe(secret)
    await webhooks.endpoints.rotateSecret(scope, id, { signing: 'hmac-sha256' })
    await webhooks.publish(keyCreated)
    await webhooks.drain()
    const [received] = target.received
    const { 'webhook-id': msg, 'webhook-timestamp': time, 'webhook-signature': signatures } = received?.headers ?? {}
    const [current, old] = String(signatures).split(' ')
    expect(current).toMatch(/^v1,/)
    expect(old).toMatch(/^v1a,/)
    const x = Buffer.from(secret.slice('whpk_'.length), 'base64').toString('base64url')
    const signed = Buffer.from(`${msg}.${time}.${received?.body}`)
    const signature = Buffer.from(String(old).slice('v1a,'.length), 'base64')
    const jwk = { kty: 'OKP', crv: 'Ed25519', x }
    expect(verify(null, signed, createPublicKey({ key: jwk, format: 'jwk' }), signature)).toBe(true)
    expect(JSON.stringify(events)).not.toContain('whsk_')
    const imported = webhooks.endpoints.create(scope, { url: target.url, signing: 'ed25519', secret: 'whsec_AAAA' })
    await expect(imported).rejects.toMatchObject({ code: 'invalid_input', errors: [{ pointer: '/secret' }] })
  })
})
