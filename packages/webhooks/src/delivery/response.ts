/** What is kept of a response: bounded, decompressed and printable. */
import * as zlib from 'node:zlib'

/** How much of a response's body is kept, in bytes, after decompression. */
export const maxResponseBytes = 16 * 1024

/** How much of the headers is read, in bytes. */
export const maxHeaderBytes = 16 * 1024

/** What is read off the wire to fill `maxResponseBytes`: compression may make a little more of it. */
const maxWireBytes = { plain: maxResponseBytes, encoded: 2 * maxResponseBytes }

/** The kept part of a body. */
export interface KeptBody {
  responseBody: string
  responseTruncated: boolean
}

/** A body as it comes in. */
export class BodyReader {
  readonly #coding: string | null
  readonly #limit: number
  #chunks: Buffer[] = []
  #size = 0

  /** `encoding` is the response's `content-encoding`. A coding that Node.js cannot read is kept as it came. */
  constructor(encoding: string) {
    const coding = encoding.trim().toLowerCase()
    this.#coding = readable.has(coding) ? coding : null
    this.#limit = this.#coding === null ? maxWireBytes.plain : maxWireBytes.encoded
  }

  /** False once there is enough. */
  add(chunk: Buffer): boolean {
    this.#chunks.push(chunk)
    this.#size += chunk.length
    return this.#size <= this.#limit
  }

  /** `ended` tells whether the body came to its end. Answers at once unless something must be decompressed. */
  finish(ended: boolean): KeptBody | Promise<KeptBody> {
    const [first] = this.#chunks
    const bytes = this.#chunks.length === 1 && first ? first : Buffer.concat(this.#chunks)
    this.#chunks = []
    if (this.#coding === null || bytes.length === 0) return keep(bytes, ended)
    return decode(this.#coding, bytes.subarray(0, this.#limit)).then(({ decoded, whole }) =>
      keep(decoded, ended && whole),
    )
  }
}

function keep(bytes: Buffer, whole: boolean): KeptBody {
  const text = printable(bytes.toString('utf8', 0, maxResponseBytes))
  return { responseBody: text, responseTruncated: !whole || bytes.length > maxResponseBytes }
}

// Node.js has it since 22.15.
const createZstd = (zlib as { createZstdDecompress?: typeof zlib.createGunzip }).createZstdDecompress

const readable = new Set(['gzip', 'x-gzip', 'deflate', 'br', ...(createZstd ? ['zstd'] : [])])

// Small, as what is decoded together with the first broken byte is lost.
const chunkSize = 1024

function decoderFor(coding: string, bytes: Buffer): zlib.Gunzip {
  if (coding === 'br') return zlib.createBrotliDecompress({ chunkSize })
  if (coding === 'zstd' && createZstd) return createZstd({ chunkSize })
  if (coding !== 'deflate') return zlib.createGunzip({ chunkSize })
  // "deflate" means zlib's format (RFC 9110 section 8.4.1.2), but some send the bare one.
  const [first = 0, second = 0] = bytes
  const isZlib = (first & 0x0f) === 8 && ((first << 8) | second) % 31 === 0
  return isZlib ? zlib.createInflate({ chunkSize }) : zlib.createInflateRaw({ chunkSize })
}

/** As far as it can be read, and no further than what is kept. Never fails: `whole` is false for what is broken. */
function decode(coding: string, bytes: Buffer): Promise<{ decoded: Buffer; whole: boolean }> {
  return new Promise((resolve) => {
    const decoder = decoderFor(coding, bytes)
    const chunks: Buffer[] = []
    let size = 0
    const done = (whole: boolean) => {
      decoder.destroy()
      resolve({ decoded: Buffer.concat(chunks), whole })
    }
    decoder.on('data', (chunk: Buffer) => {
      chunks.push(chunk)
      size += chunk.length
      if (size > maxResponseBytes) done(false)
    })
    decoder.on('end', () => done(true))
    decoder.on('error', () => done(false))
    // All that can be decoded comes out before the end is looked at, and found to be missing.
    decoder.write(bytes, () => decoder.end())
  })
}

/** Several values of one name are joined, as RFC 9110 section 5.3 has it. */
export function flatHeaders(headers: Record<string, string | string[] | undefined>): Record<string, string> {
  const flat: Record<string, string> = {}
  for (const name in headers) {
    const value = headers[name]
    if (value !== undefined) flat[name] = printable(typeof value === 'string' ? value : value.join(', '))
  }
  return flat
}

/** PostgreSQL stores no NUL in text. */
function printable(text: string): string {
  return text.includes('\u0000') ? text.replaceAll('\u0000', '\uFFFD') : text
}
