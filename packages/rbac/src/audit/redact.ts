/** Keeps secrets out of the log, by the names of their fields. */
import { coreErrors } from '@org/core'
import type { Plain } from './schema.js'

const redacted = '[redacted]'

/** As names are compared: without case, underscores and the like. */
export const nameOf = (name: string) => name.toLowerCase().replace(/[^a-z0-9]/g, '')

/** A field whose whole name is one of these. */
const names = [
  ...['passwd', 'passphrase', 'pwd', 'pin', 'pinCode', 'otp', 'otpCode', 'totp', 'mfaCode', 'jwt', 'bearer'],
  ...['cookie', 'cookies', 'setCookie', 'cardNumber', 'cvc', 'cvv', 'iban', 'ssn', 'sessionId', 'recoveryCodes'],
].map(nameOf)

/** A field whose name ends like this: `userPassword`, `client_secret`, `access-token`, `Proxy-Authorization`. */
const endings = [
  ...['password', 'passwords', 'passwordHash', 'passwordDigest', 'secret', 'secretHash', 'token', 'tokenHash'],
  ...['authorization', 'credential', 'credentials', 'apiKey', 'apiKeys', 'accessKey', 'privateKey', 'privateKeyPem'],
  ...['signingKey', 'secretKey', 'encryptionKey'],
].map(nameOf)

/** Also how many there are: `maxTokens: 100` says nothing secret. */
const countables = ['secrets', 'tokens']

const isPlain = (value: unknown): value is Plain => typeof value === 'object' && value !== null && !Array.isArray(value)

export type Redact = (pointer: string, content: Plain) => Plain

/**
 * Makes content plain data as the database gives it back (dates become text, `undefined` goes) without secrets, at any
 * depth. What is null stays null, which tells nothing.
 *
 * @throws ProblemError `invalid_input` at `pointer` for what JSON cannot say.
 */
export function createRedact(more: readonly string[] = []): Redact {
  const exact = new Set([...names, ...more.map(nameOf)])
  const isSecret = (key: string, value: unknown) => {
    if (key === '' || value === null || value === undefined) return false
    const name = nameOf(key)
    if (exact.has(name)) return true
    // `hasSecret: true` says nothing secret.
    if (typeof value === 'boolean') return false
    if (endings.some((ending) => name.endsWith(ending))) return true
    return typeof value !== 'number' && countables.some((ending) => name.endsWith(ending))
  }
  const replace = (key: string, value: unknown) => (isSecret(key, value) ? redacted : value)
  return (pointer, content) => {
    try {
      const plain: unknown = JSON.parse(JSON.stringify(content, replace))
      if (!isPlain(plain)) throw new TypeError('Its toJSON made something else of it')
      return plain
    } catch (cause) {
      throw coreErrors.invalid_input({ errors: [{ pointer, detail: 'must be plain data' }], cause })
    }
  }
}
