/** Errors as values of a catalogue: callers match on `code`, never on text. */
import { z } from 'zod'

/** One wrong field: an RFC 6901 JSON pointer into the input, and what is wrong with it. */
export const FieldError = z.object({ pointer: z.string(), detail: z.string() })
export type FieldError = z.infer<typeof FieldError>

export interface ProblemInit {
  /** What happened this time and how to mend it. Shown to the caller: never put secrets or internals into it. */
  detail?: string
  errors?: FieldError[]
  /** Further members of the problem document, such as `{ action: 'create', resource: 'keys' }` (RFC 9457 §3.2). */
  extensions?: Record<string, unknown>
  headers?: Record<string, string>
  cause?: unknown
}

/** An error that a caller can act on. Over HTTP it becomes `application/problem+json` (RFC 9457). */
export class ProblemError extends Error {
  override readonly name = 'ProblemError'
  readonly type: string
  readonly code: string
  readonly status: number
  readonly title: string
  readonly detail: string | undefined
  readonly errors: FieldError[] | undefined
  readonly extensions: Record<string, unknown> | undefined
  readonly headers: Record<string, string>

  constructor(spec: { type: string; code: string; status: number; title: string }, init: ProblemInit = {}) {
    super(describe(spec.title, init), init.cause === undefined ? undefined : { cause: init.cause })
    this.type = spec.type
    this.code = spec.code
    this.status = spec.status
    this.title = spec.title
    this.detail = init.detail
    this.errors = init.errors
    this.extensions = init.extensions
    this.headers = init.headers ?? {}
  }
}

function describe(title: string, init: ProblemInit): string {
  const fields = init.errors?.map((field) => `${field.pointer || '/'}: ${field.detail}`).join('; ')
  return [title, init.detail, fields].filter(Boolean).join(': ')
}

/** An entry of an error catalogue: call it to make the error, read its fields to document it. */
export interface ErrorFactory {
  (init?: ProblemInit): ProblemError
  readonly code: string
  readonly status: number
  readonly title: string
}

/** Makes a catalogue: `defineErrors('rbac', { last_owner: { status: 409, title: '…' } })`. */
export function defineErrors<const Specs extends Record<string, { status: number; title: string }>>(
  namespace: string,
  specs: Specs,
): { readonly [Code in keyof Specs]: ErrorFactory } {
  const factories = Object.entries(specs).map(([code, { status, title }]) => {
    const spec = { type: `urn:problem:${namespace}:${code}`, code, status, title }
    return [code, Object.assign((init?: ProblemInit) => new ProblemError(spec, init), spec)]
  })
  return Object.fromEntries(factories)
}

/** Whether this is a catalogue error, from this copy of the library or another. */
export function isProblem(error: unknown): error is ProblemError {
  return error instanceof Error && error.name === 'ProblemError' && 'code' in error && 'status' in error
}

/** Errors that any module can answer with. */
export const coreErrors = defineErrors('core', {
  malformed_json: { status: 400, title: 'The body is not valid JSON' },
  incomplete_body: { status: 400, title: 'The body ended early' },
  unauthenticated: { status: 401, title: 'No identity' },
  forbidden: { status: 403, title: 'Not allowed' },
  cross_site_request: { status: 403, title: 'A cross-site request may not use this session' },
  not_found: { status: 404, title: 'Not found' },
  idempotency_conflict: { status: 409, title: 'The idempotency key was used with another request' },
  payload_too_large: { status: 413, title: 'The body is too large' },
  unsupported_media_type: { status: 415, title: 'The body must be JSON' },
  invalid_input: { status: 422, title: 'The input is not valid' },
  internal_error: { status: 500, title: 'Something went wrong' },
  setup_error: { status: 500, title: 'The host app is not set up correctly' },
  foreign_transaction: { status: 500, title: 'The transaction belongs to another database' },
  not_migrated: { status: 500, title: 'The database tables are missing' },
  busy: { status: 503, title: 'The database is busy' },
})

/** Parses with Zod, or throws `invalid_input` with one JSON pointer for each wrong field. */
export function parse<Schema extends z.ZodType>(schema: Schema, input: unknown, root = ''): z.output<Schema> {
  const result = schema.safeParse(input)
  if (result.success) return result.data
  throw coreErrors.invalid_input({ errors: result.error.issues.flatMap((issue) => fieldErrors(issue, root)) })
}

function fieldErrors(issue: z.core.$ZodIssue, root: string): FieldError[] {
  const at = (path: PropertyKey[]) => root + path.map((key) => `/${escapePointer(String(key))}`).join('')
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({ pointer: at([...issue.path, key]), detail: 'unknown field' }))
  }
  // Zod itself says no more than that the key is invalid.
  if (issue.code === 'invalid_key') {
    return [{ pointer: at(issue.path), detail: issue.issues[0]?.message ?? issue.message }]
  }
  return [{ pointer: at(issue.path), detail: issue.message }]
}

function escapePointer(key: string): string {
  return key.replaceAll('~', '~0').replaceAll('/', '~1')
}

/** The 422 for a name that is not in a catalogue: it names the field and the known values. */
export function unknownValue(pointer: string, value: string, known: Iterable<string>): ProblemError {
  const list = [...known].join(', ')
  return coreErrors.invalid_input({ errors: [{ pointer, detail: `unknown value "${value}"; known values: ${list}` }] })
}
