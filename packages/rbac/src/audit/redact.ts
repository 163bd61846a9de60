/** Keeps secrets out of the log, by the names of their fields. */
import { coreErrors } from '@org/core'
import type { Plain } from './schema.js'

const redacted = '[redacted]'

/** As names are compared: without case, underscores and the like. */
const nameOf = (name: string) => name.toLowerCase().replace(/[^a-z0-9]/g, '')

/** A field whose whole name is one of these. */
const names = [
  ...[
    'password',
    'passwd',
    'passphrase',
    'pwd',
    'pin',
    'otp',
    'secret',
    'token',
    'apiKey',
    'privateKey',
    'authorization',
  ],
  ...['cookie', 'setCookie', 'credentials', 'cardNumber', 'cvc', 'cvv', 'iban', 'ssn', 'sessionId', 'recoveryCodes'],
].map(nameOf)

/** A field whose name ends like this: `userPassword`, `client_secret`, `access-token`, `stripeApiKey`. */
const endings = ['password', 'secret', 'secrets', 'token', 'tokens', 'apikey', 'privatekey', 'signingkey', 'secretkey']

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
    // `hasSecret: true` and `maxTokens: 100` say nothing secret.
    return typeof value !== 'boolean' && typeof value !== 'number' && endings.some((ending) => name.endsWith(ending))
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
