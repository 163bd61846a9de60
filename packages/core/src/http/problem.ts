/** Errors over HTTP: `application/problem+json` (RFC 9457). */
import { coreErrors, isProblem, type ProblemError } from '../errors.js'
import type { Logger } from '../runtime.js'
import type { HttpResponse } from './message.js'

/** 5xx errors whose detail is written for the host's developer and holds no internals. */
const shownToDevelopers = new Set(['setup_error', 'not_migrated', 'foreign_transaction'])

/** Shows a catalogue error as it is; anything else, and the detail of most 5xx, goes to the logger alone. */
export function problemResponse(error: unknown, logger: Logger, fields: Record<string, unknown>): HttpResponse {
  const problem = isProblem(error) ? error : coreErrors.internal_error({ cause: error })
  if (problem.status >= 500) {
    logger.error(problem.message, { ...fields, code: problem.code, error: problem.cause ?? problem })
  }
  const hidden = problem.status >= 500 && !shownToDevelopers.has(problem.code)
  return {
    status: problem.status,
    headers: { ...problem.headers, 'content-type': 'application/problem+json', 'cache-control': 'no-store' },
    // A BigInt in an extension must not turn an answer into a crash.
    body: JSON.stringify(problemDocument(problem, hidden), (_, value) =>
      typeof value === 'bigint' ? `${value}` : value,
    ),
  }
}

function problemDocument(problem: ProblemError, hidden: boolean) {
  const { type, title, status, code } = problem
  if (hidden) return { type, title, status, code, detail: "The server's log says more." }
  return { ...problem.extensions, type, title, status, code, detail: problem.detail, errors: problem.errors }
}
