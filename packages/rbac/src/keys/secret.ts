/** The text of a key: a prefix that says whose it is, chance, and a checksum. */
import { createHash, timingSafeEqual } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { coreErrors, type Random } from '@org/core'

const digits = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'

/** 30 base62 digits are 178 bits. */
const randomLength = 30
/** 32 bits in base62. */
const checksumLength = 6
/** How much of the random part is kept in the clear, for people to tell keys apart by. */
const startLength = 4

const shape = /^([a-z][a-z0-9_]{0,31})_([0-9A-Za-z]{36})$/

/** @throws ProblemError `setup_error`. */
export function checkPrefix(prefix: string): string {
  if (/^[a-z](?:[a-z0-9_]{0,30}[a-z0-9])?$/.test(prefix)) return prefix
  const detail = `The key prefix "${prefix}" must be 1 to 32 lower-case letters, digits and "_", as in gw_live.`
  throw coreErrors.setup_error({ detail })
}

/**
 * A new secret: `<prefix>_<30 random digits><checksum>`. The checksum is a CRC-32 as in GitHub's tokens
 * (https://github.blog/2021-04-05-behind-githubs-new-authentication-token-formats/): what was mistyped, cut off or made
 * up is refused without a look at the database, and a secret scanner knows a real one when it sees it.
 */
export function createSecret(random: Random, prefix: string): { secret: string; start: string; hash: string } {
  const body = `${prefix}_${randomDigits(random, randomLength)}`
  const secret = body + checksumOf(body)
  return { secret, start: secret.slice(0, prefix.length + 1 + startLength), hash: hashOf(secret) }
}

/** Whether this is the text of a key of any prefix: a host may have changed its own. */
export function isSecret(text: unknown): text is string {
  if (typeof text !== 'string' || !shape.test(text)) return false
  const cut = text.length - checksumLength
  return checksumOf(text.slice(0, cut)) === text.slice(cut)
}

/** What is kept: SHA-256. Slow hashes are for passwords, which can be guessed; 178 bits of chance cannot. */
export function hashOf(secret: string): string {
  return createHash('sha256').update(secret).digest('hex')
}

/** Takes the same time wherever they differ. */
export function isSameHash(one: string, other: string): boolean {
  const [a, b] = [Buffer.from(one), Buffer.from(other)]
  return a.length === b.length && timingSafeEqual(a, b)
}

function checksumOf(text: string): string {
  let rest = crc32(text)
  let out = ''
  for (let i = 0; i < checksumLength; i++) {
    out = digits.charAt(rest % digits.length) + out
    rest = Math.floor(rest / digits.length)
  }
  return out
}

/** Each digit as likely as any other: bytes past the last multiple of 62 are thrown away. */
function randomDigits(random: Random, length: number): string {
  const fair = 256 - (256 % digits.length)
  let out = ''
  while (out.length < length) {
    for (const byte of random.bytes(length)) {
      if (byte < fair && out.length < length) out += digits.charAt(byte % digits.length)
    }
  }
  return out
}
