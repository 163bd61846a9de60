/** The few things that come from outside: time, chance, identity and logging. Each is an option of every module. */

/** Milliseconds since the Unix epoch. Tests and simulations hand in one that they advance themselves. */
export interface Clock {
  now(): number
  /** Milliseconds since any moment, for how long ago something was: it never goes back. `now` is asked without it. */
  monotonic?(): number
}

/** Chance. `number()` is in [0, 1) and is used for jitter; `bytes(n)` must be cryptographically strong. */
export interface Random {
  number(): number
  bytes(size: number): Uint8Array
}

/** Makes an id: the prefix, an underscore and 26 time-sortable characters. Ids never hold a dot. */
export type IdFactory = (prefix: string) => string

/**
 * Any logger with these four methods fits, winston for one. Pino takes its arguments the other way round:
 * `{ error: (message, fields) => pino.error(fields, message), … }`. Fields are plain data and never hold secrets.
 */
export interface Logger {
  debug(message: string, fields?: Record<string, unknown>): void
  info(message: string, fields?: Record<string, unknown>): void
  warn(message: string, fields?: Record<string, unknown>): void
  error(message: string, fields?: Record<string, unknown>): void
}

/** What a module runs on, after the defaults are filled in. */
export interface Runtime {
  readonly clock: Clock
  readonly random: Random
  readonly id: IdFactory
  readonly logger: Logger
}

/** The part of every `createX` call that replaces a default. */
export interface RuntimeOptions {
  clock?: Clock
  random?: Random
  id?: IdFactory
  logger?: Logger
}
