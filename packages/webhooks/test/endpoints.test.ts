import { isProblem } from '@org/core'
import { webhooksErrors } from '@org/webhooks'
import { verifyWebhook } from '@org/webhooks/verify'
import { describe, expect, it } from 'vitest'
import { type Received, receiver } from './receiver.js'
import { testStorages } from './storages.js'
import { keyCreated, scope, world } from './world.js'

const url = 'https://example.com/hooks'
const codeOf = async (work: Promise<unknown>) => {
  const error = await work.catch((caught: unknown) => caught)
  return isProblem(error) ? error.code : error
}

for (const { name, missing, open } of await testStorages()) {
  describe.skipIf(missing)(`endpoints on ${name}`, () => {
    it('are created, read, changed and deleted, and tell of it without secrets', async () => {
      const { storage, close } = await open()
      const { webhooks, events, clock } = world({ storage })
      const { endpoints } = webhooks
      const { secret, ...created } = await endpoints.create(scope, {
        url,
        eventTypes: ['key.*'],
        metadata: { team: 'a' },
      })
      expect(created).toEqual({
        id: expect.stringMatching(/^ep_[a-z0-9]{26}$/),
        url,
        description: null,
        eventTypes: ['key.*'],
        channels: null,
        filter: null,
        metadata: { team: 'a' },
        headerNames: [],
        enabled: true,
        disabledReason: null,
        unverified: false,
        signing: 'hmac-sha256',
        publicKey: null,
        extraSignature: null,
        retryScheduleMs: null,
        timeoutMs: null,
        rateLimit: null,
        maxInFlight: null,
        ordering: null,
        createdAt: clock.now(),
        updatedAt: clock.now(),
      })
      expect(await endpoints.get(scope, created.id)).toEqual(created)
      expect(await endpoints.list(scope)).toEqual({ data: [created], next: null })
      clock.advance(5)
      const changed = { ...created, description: 'Ours', eventTypes: null, updatedAt: clock.now() }
      expect(await endpoints.update(scope, created.id, { description: 'Ours', eventTypes: null })).toEqual(changed)
      const rotated = await endpoints.rotateSecret(scope, created.id)
      expect(rotated).toEqual({ ...changed, secret: expect.stringMatching(/^whsec_/) })
      await endpoints.disable(scope, created.id)
      await endpoints.disable(scope, created.id)
      await endpoints.enable(scope, created.id)
      await endpoints.enable(scope, created.id)
      await endpoints.delete(scope, created.id)
      expect(await codeOf(endpoints.get(scope, created.id))).toBe('not_found')
      expect(events.map(({ type }) => type)).toEqual([
        'endpoint.created',
        'endpoint.updated',
        'endpoint.secret_rotated',
        'endpoint.disabled',
        'endpoint.enabled',
        'endpoint.deleted',
      ])
      expect(events[1]).toMatchObject({
        tenantId: 't1',
        actor: scope.actor,
        resource: { type: 'endpoint', id: created.id },
        before: { description: null, createdAt: '2026-01-01T00:00:00.000Z' },
        after: { description: 'Ours' },
      })
      expect(JSON.stringify(events)).not.toContain('whsec_')
      expect(secret).toMatch(/^whsec_/)
      await close()
    })

    it('belong to one tenant', async () => {
      const { storage, close } = await open()
      const { webhooks } = world({ storage })
      const { endpoints } = webhooks
      const { id } = await endpoints.create(scope, { url })
      const other = { tenantId: 'T1' }
      const calls = [
        endpoints.get(other, id),
        endpoints.update(other, id, { description: 'mine' }),
        endpoints.delete(other, id),
        endpoints.enable(other, id),
        endpoints.disable(other, id),
        endpoints.rotateSecret(other, id),
        endpoints.sendTest(other, id),
      ]
      expect(await Promise.all(calls.map(codeOf))).toEqual(calls.map(() => 'not_found'))
      expect(await endpoints.list(other)).toEqual({ data: [], next: null })
      await close()
    })

    it('hold what is published while they are disabled, and send it when they are enabled', async () => {
      const { storage, close } = await open()
      const { webhooks } = world({ storage })
      const target = await receiver()
      const { id } = await webhooks.endpoints.create(scope, { url: target.url })
      await webhooks.publish(keyCreated)
      await webhooks.endpoints.disable(scope, id)
      await webhooks.publish(keyCreated)
      expect(await webhooks.drain()).toMatchObject({ delivered: 0, held: 2 })
      expect((await webhooks.deliveries.list(scope, { status: 'held' })).data).toMatchObject([
        { attempts: 0 },
        { attempts: 0 },
      ])
      expect(await webhooks.drain()).toMatchObject({ held: 0 })
      await webhooks.endpoints.enable(scope, id)
      expect(await webhooks.drain()).toMatchObject({ delivered: 2 })
      expect(target.received.length).toBe(2)
      await close()
    })

    it('cancel what they have pending when they are deleted, and keep the log', async () => {
      const { storage, close } = await open()
      const { webhooks } = world({ storage })
      const { id } = await webhooks.endpoints.create(scope, { url })
      await webhooks.publish(keyCreated)
      await webhooks.endpoints.delete(scope, id)
      const [delivery] = (await webhooks.deliveries.list(scope, { endpointId: id })).data
      expect(delivery).toMatchObject({ status: 'canceled', attempts: 0 })
      expect(await webhooks.drain()).toEqual({ delivered: 0, rescheduled: 0, deadLettered: 0, held: 0, canceled: 0 })
      expect(await codeOf(webhooks.deliveries.retry(scope, delivery?.id ?? ''))).toBe('endpoint_deleted')
      await close()
    })

    it('that are deleted between publish and claim are noticed by the engine', async () => {
      const { storage, close } = await open()
      const { webhooks } = world({ storage })
      const { id } = await webhooks.endpoints.create(scope, { url })
      await webhooks.publish(keyCreated)
      await storage.run(({ endpoints }) => endpoints.remove(id))
      expect(await webhooks.drain()).toMatchObject({ canceled: 1 })
      expect((await webhooks.deliveries.list(scope)).data).toMatchObject([{ status: 'canceled', attempts: 0 }])
      await close()
    })
  })
}

describe('an endpoint', () => {
  it.each([
    [{ url, eventTypes: ['order.paid'] }, '/eventTypes/0', /unknown value "order.paid"; known values: alert.triggered/],
    [{ url, eventTypes: ['key.created', 'order.*'] }, '/eventTypes/1', /unknown value/],
    [{ url, eventTypes: [] }, '/eventTypes', /at least one/],
    [{ url, channels: [] }, '/channels', /at least one/],
    [{ url, secret: 'whsec_mine' }, '/secret', /24/],
    [{ url: 7 }, '/url', /string/],
    [{ url, description: 'a\u0000b' }, '/description', /NUL/],
    [{ url, description: '' }, '/description', /null for none/],
    [{ url, metadata: { a: 1 } }, '/metadata/a', /string/],
  ])('is refused as %j', async (input, pointer, detail) => {
    const { webhooks } = world()
    const error = await webhooks.endpoints.create(scope, input as never).catch((caught: unknown) => caught)
    expect(isProblem(error) && [error.status, error.errors]).toEqual([
      422,
      [{ pointer, detail: expect.stringMatching(detail) }],
    ])
  })

  it('is asked for with a scope and an id that can be ones', async () => {
    const { endpoints, messages, deliveries, deadLetters } = world().webhooks
    const nowhere = { tenantId: '' }
    const odd = 'ep 1'
    const refused = [
      endpoints.get(nowhere, 'ep_1'),
      endpoints.update(nowhere, 'ep_1', {}),
      endpoints.sendTest(nowhere, 'ep_1'),
      deliveries.list(nowhere),
      deadLetters.list(nowhere),
      endpoints.get(scope, odd),
      endpoints.update(scope, odd, {}),
      endpoints.delete(scope, odd),
      endpoints.enable(scope, odd),
      endpoints.disable(scope, odd),
      endpoints.rotateSecret(scope, odd),
      endpoints.sendTest(scope, odd),
      messages.get(scope, odd),
      deliveries.get(scope, odd),
      deliveries.attempts(scope, odd),
      deliveries.cancel(scope, odd),
      deadLetters.redrive(scope, odd),
    ]
    expect(await Promise.all(refused.map(codeOf))).toEqual(refused.map(() => 'invalid_input'))
  })

  it('pages through its list', async () => {
    const { webhooks } = world()
    const made: string[] = []
    for (let n = 0; n < 5; n++) made.unshift((await webhooks.endpoints.create(scope, { url })).id)
    const seen: string[] = []
    for (let cursor: string | undefined; seen.length < 5; ) {
      const page = await webhooks.endpoints.list(scope, { limit: 2, ...(cursor && { cursor }) })
      seen.push(...page.data.map(({ id }) => id))
      if (page.next === null) break
      cursor = page.next
    }
    expect(seen).toEqual(made)
  })
})

describe('a signing secret', () => {
  const accepts = (secret: string, { headers, body }: Received, now: number) => {
    try {
      verifyWebhook(secret, headers, body, { now })
      return true
    } catch {
      return false
    }
  }

  it('goes on signing next to the new one until its overlap ends', async () => {
    let made = 0
    const random = { number: () => 0.5, bytes: (size: number) => new Uint8Array(size).fill(++made) }
    const { webhooks, clock } = world({ random })
    const target = await receiver()
    const old = await webhooks.endpoints.create(scope, { url: target.url })
    const signedBy = async (...secrets: string[]) => {
      await webhooks.publish(keyCreated)
      await webhooks.drain()
      const latest = target.received.at(-1) as Received
      return secrets.map((secret) => accepts(secret, latest, clock.now()))
    }
    expect(await signedBy(old.secret)).toEqual([true])
    const next = await webhooks.endpoints.rotateSecret(scope, old.id)
    expect(await signedBy(old.secret, next.secret)).toEqual([true, true])
    clock.advance(24 * 3_600_000 - 1)
    expect(await signedBy(old.secret, next.secret)).toEqual([true, true])
    clock.advance(1)
    expect(await signedBy(old.secret, next.secret)).toEqual([false, true])
    const last = await webhooks.endpoints.rotateSecret(scope, old.id, { overlapSeconds: 0 })
    expect(await signedBy(next.secret, last.secret)).toEqual([false, true])
    expect(Buffer.from(last.secret.replace('whsec_', ''), 'base64').length).toBe(32)
  })

  it('is never one of more than ten', async () => {
    const { webhooks } = world()
    const target = await receiver()
    const { id } = await webhooks.endpoints.create(scope, { url: target.url })
    for (let n = 0; n < 12; n++) await webhooks.endpoints.rotateSecret(scope, id)
    await webhooks.publish(keyCreated)
    await webhooks.drain()
    expect(String(target.received[0]?.headers['webhook-signature']).split(' ').length).toBe(10)
  })

  it.each([-1, 604_801, 1.5])('cannot overlap for %d seconds', async (overlapSeconds) => {
    const { webhooks } = world()
    const { id } = await webhooks.endpoints.create(scope, { url })
    expect(await codeOf(webhooks.endpoints.rotateSecret(scope, id, { overlapSeconds }))).toBe('invalid_input')
  })
})

describe('sendTest', () => {
  it('goes through the real path, to this endpoint alone', async () => {
    const { webhooks, clock } = world()
    const [tested, other] = [await receiver(), await receiver()]
    const { id, secret } = await webhooks.endpoints.create(scope, { url: tested.url, eventTypes: ['quota.exceeded'] })
    await webhooks.endpoints.create(scope, { url: other.url })
    const sent = await webhooks.endpoints.sendTest(scope, id)
    await webhooks.endpoints.sendTest(scope, id, { type: 'key.created' })
    await webhooks.endpoints.sendTest(scope, id, { type: 'key.created', data: { keyId: 'mine' } })
    expect(await webhooks.drain()).toMatchObject({ delivered: 3 })
    const bodies = tested.received.map(({ headers, body }) =>
      verifyWebhook(secret, headers, body, { now: clock.now() }),
    )
    expect(bodies).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ type: 'webhook.test' }),
        expect.objectContaining({ type: 'key.created', data: { keyId: 'key_1', name: 'Production' } }),
        expect.objectContaining({ type: 'key.created', data: { keyId: 'mine' } }),
      ]),
    )
    expect(other.received).toEqual([])
    expect(await webhooks.deliveries.get(scope, sent.deliveryId)).toMatchObject({
      status: 'delivered',
      messageId: sent.messageId,
    })
  })

  it('is refused for an unknown type, data that does not fit, and a disabled endpoint', async () => {
    const { webhooks } = world()
    const { id } = await webhooks.endpoints.create(scope, { url })
    expect(await codeOf(webhooks.endpoints.sendTest(scope, id, { type: 'order.paid' }))).toBe('invalid_input')
    const wrong = { type: 'key.created', data: { keyId: 7 } }
    expect(await codeOf(webhooks.endpoints.sendTest(scope, id, wrong))).toBe('invalid_input')
    await webhooks.endpoints.disable(scope, id)
    expect(await codeOf(webhooks.endpoints.sendTest(scope, id))).toBe(webhooksErrors.endpoint_disabled.code)
  })
})
