import { systemRandom } from '@org/core'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createVault, type EncryptionOptions } from '../src/signing/encryption.js'
import { createSecret, createSigningKey, parseSecret, publicKeyOf } from '../src/signing/keys.js'

const bytes = (text: string) => Buffer.from(text.slice(text.indexOf('_') + 1), 'base64')
const base64 = (size: number, fill = 7) => Buffer.alloc(size, fill).toString('base64')
const problemOf = (work: () => unknown) => {
  try {
    work()
  } catch (error) {
    return error as { code: string; detail?: string; errors?: unknown[]; message: string }
  }
  return null
}

describe('secrets', () => {
  it('are 32 random bytes', () => {
    const secret = createSecret(systemRandom)
    expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/)
    expect(bytes(secret).length).toBe(32)
    expect(createSecret(systemRandom)).not.toBe(secret)
    expect(createSecret({ bytes: (size) => new Uint8Array(size).fill(1) })).toBe(`whsec_${base64(32, 1)}`)
  })

  it('come in pairs for Ed25519: the seed with its public half, and that alone', () => {
    const { privateKey, publicKey } = createSigningKey(systemRandom)
    expect(privateKey).toMatch(/^whsk_/)
    expect(publicKey).toMatch(/^whpk_/)
    expect(bytes(privateKey).subarray(32)).toEqual(bytes(publicKey))
    expect(publicKeyOf(privateKey)).toBe(publicKey)
    const seedAlone = `whsk_${bytes(privateKey).subarray(0, 32).toString('base64')}`
    expect(publicKeyOf(seedAlone)).toBe(publicKey)
  })

  it.each(['', 'whpk_', `whsk_${base64(31)}`, `whsk_${base64(33)}`, `whsk_${base64(64)}`, `whsec_${base64(32)}`])(
    'has no public half: %s',
    (text) => {
      const problem = problemOf(() => publicKeyOf(text))
      expect(problem?.code).toBe('setup_error')
      if (text.length > 10) expect(problem?.message).not.toContain(text.slice(6))
    },
  )

  it('may be imported with 24 to 64 bytes, padded or not', () => {
    for (const size of [24, 25, 32, 64]) {
      const secret = `whsec_${base64(size)}`
      expect(parseSecret(secret)).toBe(secret)
      expect(parseSecret(secret.replace(/=+$/, ''))).toBe(secret)
    }
  })

  it.each([
    '',
    'whsec_',
    base64(32),
    `whsk_${base64(32)}`,
    `whsec_${base64(23)}`,
    `whsec_${base64(65)}`,
    `whsec_${base64(32)} `,
    `whsec_${base64(32)}=`,
    `whsec_${base64(32, 0xff).replaceAll('/', '_')}`,
    `whsec_${'A'.repeat(42)}B=`, // bits that no byte holds
  ])('may not be imported: %j', (text) => {
    const problem = problemOf(() => parseSecret(text))
    expect(problem).toMatchObject({
      code: 'invalid_input',
      errors: [
        { pointer: '/secret', detail: expect.stringContaining('whsec_ and the base64 of 24 to 64 random bytes') },
      ],
    })
  })
})

describe('the vault', () => {
  const random = systemRandom
  const old = { keys: { '2025-01': base64(32, 1) }, current: '2025-01' }
  const both = { keys: { ...old.keys, '2026-01': base64(32, 2) }, current: '2026-01' }
  const fresh = { keys: { '2026-01': base64(32, 2) }, current: '2026-01' }
  const row = 'acme/ep_1'
  const vault = (options?: EncryptionOptions) => createVault(options, random)

  it('opens what it sealed, whatever it is, and never seals twice alike', () => {
    for (const { seal, open } of [vault(), vault(both)]) {
      fc.assert(
        fc.property(fc.string({ unit: 'grapheme' }), fc.string(), (plain, context) => {
          expect(open(seal(plain, context), context)).toBe(plain)
          expect(open(seal(`enc:${plain}`, context), context)).toBe(`enc:${plain}`)
        }),
      )
    }
    const { seal } = vault(both)
    const one = seal('whsec_hush', row)
    expect(one).toMatch(/^enc:1:2026-01:[A-Za-z0-9+/]+=*$/)
    expect(one).not.toContain('hush')
    expect(seal('whsec_hush', row)).not.toBe(one)
  })

  it('never takes plain text of a customer for sealed text', () => {
    const forged = vault(both).seal('whsec_hush', row)
    for (const { seal, open } of [vault(), vault(both)]) expect(open(seal(forged, row), row)).toBe(forged)
    const later = vault().seal('enc:0:x', row)
    expect(vault(both).open(later, row)).toBe('enc:0:x')
  })

  it('rotates: the current key seals, all of them open', () => {
    const before = vault(old).seal('whsec_hush', row)
    const { open, seal, isCurrent } = vault(both)
    expect([open(before, row), isCurrent(before)]).toEqual(['whsec_hush', false])
    const after = seal(open(before, row), row)
    expect([vault(fresh).open(after, row), isCurrent(after)]).toEqual(['whsec_hush', true])
  })

  it('can be turned on later: what is plain opens, and is to be sealed', () => {
    const plain = vault().seal('whsec_hush', row)
    expect([plain, vault().isCurrent(plain)]).toEqual(['whsec_hush', true])
    expect([vault(fresh).open(plain, row), vault(fresh).isCurrent(plain)]).toEqual(['whsec_hush', false])
    expect(vault().isCurrent(vault().seal('enc:', row))).toBe(true)
  })

  it('names the key that is missing, and no secret', () => {
    const sealed = vault(old).seal('whsec_hush', row)
    for (const { open, isCurrent } of [vault(), vault(fresh)]) {
      const problem = problemOf(() => open(sealed, row))
      expect(problem).toMatchObject({ code: 'setup_error', detail: expect.stringContaining('"2025-01"') })
      expect(problem?.message).not.toMatch(/hush|AQEB/)
      expect(isCurrent(sealed)).toBe(false)
    }
    expect(problemOf(() => vault(fresh).open('enc:7:what', row))?.code).toBe('setup_error')
  })

  it('opens nothing in another row, not even after it was opened in its own', () => {
    const { open, seal } = vault(fresh)
    const sealed = seal('whsec_hush', row)
    expect(open(sealed, row)).toBe('whsec_hush')
    for (const other of ['acme/ep_2', 'evil/ep_1', '']) {
      expect(problemOf(() => open(sealed, other))?.code).toBe('setup_error')
    }
    expect(open(sealed, row)).toBe('whsec_hush')
  })

  it('opens nothing with another key of the same name, or with any bit changed', () => {
    const sealed = vault(fresh).seal('whsec_hush', row)
    const { open } = vault({ ...fresh, keys: { '2026-01': base64(32, 3) } })
    expect(problemOf(() => open(sealed, row))).toMatchObject({ code: 'setup_error' })
    const start = 'enc:1:2026-01:'
    const raw = Buffer.from(sealed.slice(start.length), 'base64')
    for (let bit = 0; bit < raw.length * 8; bit++) {
      const changed = Buffer.from(raw)
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      expect(problemOf(() => vault(fresh).open(start + changed.toString('base64'), row))?.code).toBe('setup_error')
    }
    for (const size of [1, 12, 27, raw.length - 1]) {
      const short = start + raw.subarray(0, size).toString('base64')
      expect(problemOf(() => vault(fresh).open(short, row))?.code).toBe('setup_error')
    }
  })

  it.each<[string, EncryptionOptions, string]>([
    ['a current key that is not there', { ...fresh, current: '2027-01' }, '2027-01'],
    ['no key', { keys: {}, current: 'a' }, 'encryption.keys'],
    ['a key that is too short', { keys: { a: base64(31) }, current: 'a' }, 'base64 of 32 bytes'],
    ['a key that is no base64', { keys: { a: 'x'.repeat(32) }, current: 'a' }, 'base64 of 32 bytes'],
    ['a broken key that is not the current one', { keys: { ...fresh.keys, b: 'no' }, current: '2026-01' }, '"b"'],
    ['a name with a colon', { keys: { 'a:b': base64(32) }, current: 'a:b' }, 'a:b'],
    ['a name that is too long', { keys: { [`${'a'.repeat(33)}`]: base64(32) }, current: 'a' }, 'letters'],
    ['a name of every object', { ...fresh, current: 'constructor' }, 'constructor'],
  ])('does not start with %s', (_, options, detail) => {
    const problem = problemOf(() => vault(options))
    expect(problem).toMatchObject({ code: 'setup_error', detail: expect.stringContaining(detail) })
    for (const key of Object.values(options.keys)) if (key.length > 8) expect(problem?.message).not.toContain(key)
  })
})
