/** The only file that reads the ambient clock, randomness or console. Everything else is handed a {@link Runtime}. */
import { randomBytes } from 'node:crypto'
import { monotonicFactory } from 'ulid'
import type { Clock, IdFactory, Logger, Random, Runtime, RuntimeOptions } from './runtime.js'

export const systemClock: Clock = { now: () => Date.now() }

export const systemRandom: Random = {
  number: () => randomBytes(4).readUInt32BE() / 2 ** 32,
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

/** Fills in what the host left out. */
export function createRuntime(options: RuntimeOptions = {}): Runtime {
  const clock = options.clock ?? systemClock
  const random = options.random ?? systemRandom
  return { clock, random, id: options.id ?? createIdFactory(clock, random), logger: options.logger ?? consoleLogger }
}
