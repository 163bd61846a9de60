/** Reads a body once, bounded, whether or not a parser of the host's was there first. */
import type { IncomingMessage } from 'node:http'
import { parse as parseJson } from 'secure-json-parse'
import { coreErrors } from '../errors.js'
import type { HttpRequest } from './message.js'

/** One mebibyte. */
export const defaultBodyLimit = 1024 * 1024

/**
 * The JSON body, or undefined if there is none.
 *
 * @throws ProblemError `unsupported_media_type` (415), `payload_too_large` (413), `malformed_json` or
 *   `incomplete_body` (400).
 */
export async function readJson(request: HttpRequest, limit: number): Promise<unknown> {
  const { raw } = request
  if (!hasBody(raw)) return undefined
  requireJson(raw)
  if (wasRead(raw)) {
    const parsed = request.parsedBody
    return typeof parsed === 'string' || Buffer.isBuffer(parsed) ? decodeJson(Buffer.from(parsed)) : parsed
  }
  return decodeJson(await readBytes(raw, limit))
}

/**
 * The very bytes that were sent, for a signature to be checked. Never a re-serialisation.
 *
 * @throws ProblemError `setup_error` if a parser has eaten them, with how to fix that; `payload_too_large`.
 */
export async function readRaw(
  request: Pick<HttpRequest, 'raw' | 'keptBody' | 'parsedBody'>,
  limit: number,
): Promise<Buffer> {
  const { raw, keptBody, parsedBody } = request
  if (!wasRead(raw)) return readBytes(raw, limit)
  if (Buffer.isBuffer(keptBody) || typeof keptBody === 'string') return Buffer.from(keptBody)
  if (Buffer.isBuffer(parsedBody)) return parsedBody
  throw coreErrors.setup_error({
    detail:
      'A body parser consumed the bytes that this route must verify. Mount the route before the parser, or keep the ' +
      'bytes: express.json({ verify: (req, res, buffer) => { req.rawBody = buffer } }); @koa/bodyparser keeps them.',
  })
}

function hasBody(raw: IncomingMessage): boolean {
  return raw.headers['transfer-encoding'] !== undefined || Number(raw.headers['content-length'] ?? 0) > 0
}

/** Body parsers differ in what they set on the request; that the stream was touched shows with all of them. */
function wasRead(raw: IncomingMessage): boolean {
  return raw.readableDidRead || raw.readableEnded
}

function requireJson(raw: IncomingMessage): void {
  const type = (raw.headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? ''
  if (!/^application\/(?:json|[\w.+-]+\+json)$/.test(type)) {
    throw coreErrors.unsupported_media_type({ detail: 'Send the header `Content-Type: application/json`.' })
  }
  const encoding = raw.headers['content-encoding'] ?? 'identity'
  if (encoding !== 'identity' && !wasRead(raw)) {
    throw coreErrors.unsupported_media_type({ detail: `Content-Encoding "${encoding}" is not accepted here.` })
  }
}

async function readBytes(raw: IncomingMessage, limit: number): Promise<Buffer> {
  const tooLarge = () =>
    coreErrors.payload_too_large({ detail: `At most ${limit} bytes are read.`, headers: { connection: 'close' } })
  if (Number(raw.headers['content-length'] ?? 0) > limit) throw tooLarge()
  // A caller who hung up while the context was being found leaves a stream that says nothing more.
  if (raw.destroyed || raw.readableAborted) throw coreErrors.incomplete_body()
  const chunks: Buffer[] = []
  let size = 0
  // Not `for await`, which would destroy the socket on an early exit and with it the 413.
  await new Promise<void>((resolve, reject) => {
    raw.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (size > limit) {
        raw.pause()
        reject(tooLarge())
      } else chunks.push(chunk)
    })
    raw.on('end', resolve)
    raw.on('error', (cause) => reject(coreErrors.incomplete_body({ cause })))
    raw.on('close', () => reject(coreErrors.incomplete_body()))
  })
  return Buffer.concat(chunks)
}

const utf8 = new TextDecoder('utf-8', { fatal: true })

function decodeJson(bytes: Buffer): unknown {
  if (bytes.length === 0) return undefined
  try {
    return parseJson(utf8.decode(bytes), { protoAction: 'error', constructorAction: 'error' })
  } catch (cause) {
    throw coreErrors.malformed_json({ detail: cause instanceof Error ? cause.message : String(cause) })
  }
}
