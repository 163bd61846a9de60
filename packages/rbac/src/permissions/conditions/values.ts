/**
 * How a row's value compares with a condition's, the same on every database and with every driver's settings.
 *
 * One column comes as different types: a bigint is text from pg and a number from MySQL, a boolean is 0 or 1 from MySQL
 * and SQLite, and a user id, which is text here, may be an integer in the host's table. So text that writes a number and
 * the number are equal, and true is 1. Everything else is exact: case, accents, trailing spaces.
 */
import { coreErrors } from '@org/core'

export type Scalar = string | number | boolean | null

/** Text that writes a number: `7`, `-7`, `7.50` (a decimal column), not `07`, `7.`, ` 7` or `7e1`. SQL reads it, too. */
export const numberPattern = '^-{0,1}(0|[1-9][0-9]*)([.][0-9]+){0,1}$'
/** Digits beyond this make no number, so that no cast can overflow. */
export const maxDigits = 64

const writesNumber = new RegExp(numberPattern)

/** Null and missing are one; nothing but them equals null. @throws ProblemError `setup_error`, see {@link checkValue}. */
export function isEqual(value: unknown, wanted: Scalar): boolean {
  if (value === wanted) return true
  if (value === null || value === undefined) return wanted === null
  if (wanted === null) return false
  checkValue(value)
  return typeof wanted === 'string' ? textOf(value) === wanted : numberOf(value) === Number(wanted)
}

/**
 * Below zero, zero or above, as the value is less than, equal to or more than what is wanted; NaN if they have no
 * order. A number is compared with a number, and text with text by Unicode code points.
 *
 * @throws ProblemError `setup_error`, see {@link checkValue}.
 */
export function compare(value: unknown, wanted: string | number): number {
  if (value === null || value === undefined) return Number.NaN
  checkValue(value)
  if (typeof wanted === 'number') return numberOf(value) - wanted
  return typeof value === 'string' ? compareText(value, wanted) : Number.NaN
}

/** NaN if it is none. Integers beyond 2^53 are rounded, and never to what a condition can hold. */
function numberOf(value: unknown): number {
  if (typeof value === 'string') {
    return value.length <= maxDigits && writesNumber.test(value) ? Number(value) : Number.NaN
  }
  return Number(value)
}

/** Null for a number that databases write in different ways: with an exponent, or rounded. */
function textOf(value: unknown): string | null {
  if (typeof value === 'string') return value
  if (typeof value === 'boolean') return value ? '1' : '0'
  return typeof value === 'bigint' || (typeof value === 'number' && isPlain(value)) ? String(value) : null
}

/** Whether every database writes this number as JavaScript does. */
export function isPlain(value: number): boolean {
  return Number.isSafeInteger(value) || (Math.abs(value) >= 1e-4 && Math.abs(value) < 1e15)
}

/** JavaScript's own order is by UTF-16 units, in which U+1F600 comes before U+FFFD; that of UTF-8 in SQL is not. */
function compareText(a: string, b: string): number {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    const [x, y] = [a.charCodeAt(i), b.charCodeAt(i)]
    if (x !== y) return rank(x) - rank(y)
  }
  return a.length - b.length
}

/** Half of a surrogate pair stands for a character above all that have no halves. */
function rank(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit
}

/**
 * A Date, a Buffer, a list or an object has no one meaning in SQL: drivers make them of columns by their settings and
 * time zone. To call it unequal would let a deny pass, so that it is loud.
 *
 * @throws ProblemError `setup_error`
 */
function checkValue(value: unknown): void {
  if (typeof value !== 'object' && typeof value !== 'function' && typeof value !== 'symbol') return
  const kind = Object.prototype.toString.call(value).slice(8, -1)
  throw coreErrors.setup_error({
    detail:
      `A rule asks about a field that holds a ${kind}. Conditions compare text, numbers and booleans; ` +
      'keep times as epoch milliseconds, and ask of other values only whether they are null.',
  })
}
