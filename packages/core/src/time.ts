/** Times are epoch milliseconds in TypeScript and in the database, and RFC 3339 text over HTTP. */
import { z } from 'zod'

const toText = (ms: number) => new Date(ms).toISOString()

/** In a response schema: epoch milliseconds in, RFC 3339 text out. */
export const TimeView = z.number().int().transform(toText).pipe(z.iso.datetime())

/** In a query or body schema: RFC 3339 text in, epoch milliseconds out. */
export const TimeParam = z.iso.datetime({ offset: true }).transform((text) => Date.parse(text))

/** An entity's time: epoch milliseconds. */
export const Time = z.number().int()
