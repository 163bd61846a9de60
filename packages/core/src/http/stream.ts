/** Responses of any length: made bit by bit, as fast as the client reads, and no longer than it listens. */
import type { ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import type { Logger } from '../runtime.js'
import type { HttpResponse } from './message.js'
import type { Route } from './route.js'

/** What the handler of a route with `streams` answers. */
export interface StreamedBody {
  /** One of those that the route declares; text is UTF-8. */
  contentType: string
  /** Makes browsers save it under this name. */
  fileName?: string | undefined
  /** Is asked for the next part when the client has taken the last one, and told to `return` when the client is gone. */
  body: AsyncIterable<string | Uint8Array>
}

type Part = string | Uint8Array

/** A body under way. */
export interface StreamedParts extends AsyncIterableIterator<Part> {
  /** Tells the source to end. Never rejects: nobody is left who could be told, and unheard it would end the process. */
  return(): Promise<IteratorResult<Part>>
}

/**
 * Waits for the first part: what fails until then is still answered with a problem document. For a HEAD the source is
 * told to end at once.
 *
 * @throws Error if the handler answered no body, or a content type that the route does not declare.
 */
export async function renderStream(route: Route, result: unknown, headOnly: boolean): Promise<HttpResponse> {
  const { contentType, fileName, body } = (result ?? {}) as StreamedBody
  if (!route.streams?.includes(contentType) || typeof body?.[Symbol.asyncIterator] !== 'function') {
    throw new Error(`The result of ${route.id} is not a body of a content type that it declares`)
  }
  const headers: Record<string, string> = {
    'content-type': contentType.startsWith('text/') ? `${contentType}; charset=utf-8` : contentType,
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    ...(fileName !== undefined && { 'content-disposition': disposition(fileName) }),
  }
  const status = route.status ?? 200
  const source = body[Symbol.asyncIterator]()
  if (headOnly) {
    await source.return?.()
    return { status, headers, body: undefined }
  }
  return { status, headers, body: resumed(await source.next(), source) }
}

/** RFC 6266 §5: a plain name for all, and the real one (RFC 8187) when it is not plain. */
function disposition(fileName: string): string {
  const plain = fileName.replace(/[^\w.\- ]/g, '_')
  const encoded = encodeURIComponent(fileName).replace(
    /['()*]/g,
    (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`,
  )
  return `attachment; filename="${plain}"${plain === fileName ? '' : `; filename*=UTF-8''${encoded}`}`
}

/** Goes on after the first part. Not a generator: one that was never begun would not tell its source to end. */
function resumed(first: IteratorResult<Part>, source: AsyncIterator<Part>): StreamedParts {
  let waiting: IteratorResult<Part> | undefined = first
  let ended = first.done ?? false
  const parts: StreamedParts = {
    [Symbol.asyncIterator]: () => parts,
    async next() {
      try {
        for (;;) {
          const part: IteratorResult<Part> = waiting ?? (await source.next())
          waiting = undefined
          if (part.done) ended = true
          // An empty part would end a byte stream.
          if (part.done || part.value.length > 0) return part
        }
      } catch (error) {
        ended = true
        throw error
      }
    },
    async return() {
      try {
        if (!ended) await source.return?.()
      } catch {}
      ended = true
      return { done: true, value: undefined }
    },
  }
  return parts
}

/**
 * The body as a stream for `response`. If the source fails midway, the socket is destroyed: a client must not take half
 * of an answer for the whole of it. If the client hangs up, the source is told to end.
 */
export function streamTo(
  response: ServerResponse,
  body: StreamedParts,
  logger: Logger,
  fields: Record<string, unknown>,
): Readable {
  const readable = Readable.from(body)
  readable.on('error', (error) => {
    if (!response.destroyed && !response.writableEnded) {
      logger.error('A streamed response failed midway', { ...fields, error })
      response.destroy()
    }
  })
  response.on('close', () => readable.destroy())
  return readable
}
