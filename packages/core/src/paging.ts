/** Keyset paging: `?limit&cursor` in, `{ data, next }` out. A cursor says after which row to go on; it is opaque. */
import { z } from 'zod'
import { coreErrors } from './errors.js'

const defaultLimit = 50

/** The query of every list. Spread its shape into a route's own query schema. */
export const PageQuery = z.strictObject({
  limit: z.coerce.number<number>().int().min(1).max(250).default(defaultLimit),
  cursor: z.string().min(1).max(512).optional(),
})
export type PageQuery = z.input<typeof PageQuery>

export interface Page<Item> {
  data: Item[]
  /** Hand it back as `cursor` for the rows after these; null at the end. */
  next: string | null
}

/** The schema of one page of `item`. */
export function pageOf<Item extends z.ZodType>(item: Item) {
  return z.object({ data: z.array(item), next: z.string().nullable() })
}

/** What a store's `list` takes: how many rows, and the position (the sort key's values) after which to go on. */
export interface Slice<Position extends readonly (string | number)[] = [id: string]> {
  limit: number
  after: Position | null
}

/** Reads one row more than asked for, which tells whether there is a next page. */
export async function paginate<Row, const Shape extends readonly ('string' | 'number')[]>(
  page: { limit?: number | undefined; cursor?: string | undefined },
  shape: Shape,
  list: (slice: Slice<PositionOf<Shape>>) => Promise<Row[]>,
  position: (row: Row) => PositionOf<Shape>,
): Promise<Page<Row>> {
  const { limit = defaultLimit, cursor } = page
  const after = cursor === undefined ? null : (decodeCursor(cursor, shape) as PositionOf<Shape>)
  const rows = await list({ limit: limit + 1, after })
  const data = rows.slice(0, limit)
  const last = data.at(-1)
  return { data, next: rows.length > limit && last ? encodeCursor(position(last)) : null }
}

type PositionOf<Shape extends readonly ('string' | 'number')[]> = {
  -readonly [Index in keyof Shape]: Shape[Index] extends 'number' ? number : string
}

export function encodeCursor(position: readonly (string | number)[]): string {
  return Buffer.from(JSON.stringify(position)).toString('base64url')
}

/** @throws ProblemError `invalid_input` at `/cursor` if it is not one that we made. */
export function decodeCursor(cursor: string, shape: readonly ('string' | 'number')[]): (string | number)[] {
  try {
    const position: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString())
    if (
      Array.isArray(position) &&
      position.length === shape.length &&
      position.every((part, i) => isPart(part, shape[i]))
    ) {
      return position
    }
  } catch {}
  throw coreErrors.invalid_input({
    errors: [{ pointer: '/cursor', detail: 'not a cursor of this list; use the "next" of an earlier page' }],
  })
}

/** Nothing that a database would choke on: a forged cursor must be a 422. */
function isPart(part: unknown, type: 'string' | 'number' | undefined): boolean {
  return type === 'number' ? Number.isSafeInteger(part) : typeof part === 'string' && !part.includes('\0')
}
