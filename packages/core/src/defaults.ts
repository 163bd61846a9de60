/** The only file that reads the ambient clock, randomness or console. Everything else is handed a {@link Runtime}. */
import { randomBytes, randomInt } from 'node:crypto'
import { decodeTime, encodeTime, isValid, monotonicFactory } from 'ulid'
import type { Clock, IdFactory, Logger, Random, Runtime, RuntimeOptions } from './runtime.js'

export const systemClock: Clock = { now: () => Date.now(), monotonic: () => performance.now() }

export const systemRandom: Random = {
  // Taken from bytes that Node has made in advance: an id asks sixteen times.
  number: () => randomInt(2 ** 32) / 2 ** 32,
  bytes: (size) => randomBytes(size),
}

/** Writes warnings and errors to standard error and stays silent otherwise. */
export const consoleLogger: Logger = {
  debug: () => {},
  info: () => {},
  warn: (message, fields) => console.warn(message, ...(fields ? [fields] : [])),
  error: (message, fields) => console.error(message, ...(fields ? [fields] : [])),
}

/** ULIDs (https://github.com/ulid/spec): monotonic within one factory, so ids made in one process sort as they were made. */
export function createIdFactory(clock: Clock, random: Random): IdFactory {
  const ulid = monotonicFactory(() => random.number())
  return (prefix) => `${prefix}_${ulid(clock.now()).toLowerCase()}`
}

const latestTime = 2 ** 48 - 1

/** Lower than every id with this prefix that was made at that time or later, and higher than all that were made before. */
export function lowestId(prefix: string, time: number): string {
  return `${prefix}_${encodeTime(Math.min(Math.max(time, 0), latestTime)).toLowerCase()}`
}

/** When an id was made, if it is one as {@link createIdFactory} makes them; null if it does not tell. */
export function idTime(id: string): number | null {
  const ulid = id.slice(id.lastIndexOf('_') + 1).toUpperCase()
  return isValid(ulid) ? decodeTime(ulid) : null
}

/** Fills in what the host left out. */
export function createRuntime(options: RuntimeOptions = {}): Runtime {
  const clock = options.clock ?? systemClock
  const random = options.random ?? systemRandom
  return {
    clock,
    random,
    id: options.id ?? createIdFactory(clock, random),
    logger: withPlainErrors(options.logger ?? consoleLogger),
  }
}

/** Loggers that write JSON make `{}` of an Error: they are handed its name, message, code and stack instead. */
function withPlainErrors(logger: Logger): Logger {
  const write = (level: keyof Logger) => (message: string, fields?: Record<string, unknown>) =>
    logger[level](message, fields && mapValues(fields, plainError))
  return { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') }
}

function plainError(value: unknown): unknown {
  if (!(value instanceof Error)) return value
  const { name, message, stack, cause } = value
  const code = 'code' in value ? value.code : undefined
  return {
    name,
    message,
    ...(code !== undefined && { code }),
    stack,
    ...(cause !== undefined && { cause: plainError(cause) }),
  }
}

function mapValues(fields: Record<string, unknown>, map: (value: unknown) => unknown): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, map(value)]))
}
