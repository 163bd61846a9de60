/**
 * A codec for each column, so that rows come out the same whatever the host's driver does with big integers, booleans,
 * JSON or the case of column names.
 */
import { coreErrors } from '../errors.js'

export interface Column<Value> {
  encode(value: Value): unknown
  decode(stored: unknown): Value
  /** Whether it is kept as text or as an integer, for statements that hand over many rows as one document. */
  readonly kind: 'text' | 'integer'
}

/** Text, as it is. PostgreSQL takes no U+0000, so that no database is given one. */
export const text: Column<string> = {
  encode(value) {
    if (!value.includes('\0')) return value
    throw coreErrors.invalid_input({ detail: 'Text must not hold the character U+0000.' })
  },
  decode: String,
  kind: 'text',
}

/** An integer or a time in epoch milliseconds: drivers give a number, a string or a BigInt. */
export const integer: Column<number> = { encode: (value) => value, decode: Number, kind: 'integer' }

/** A boolean, kept as 0 or 1. */
export const flag: Column<boolean> = {
  encode: (value) => (value ? 1 : 0),
  decode: (stored) => stored === true || Number(stored) === 1,
  kind: 'integer',
}

/** Plain data, kept as JSON text. */
export function json<Value>(): Column<Value> {
  return {
    encode: (value) => JSON.stringify(value),
    decode: (stored) => (typeof stored === 'string' ? JSON.parse(stored) : stored) as Value,
    kind: 'text',
  }
}

/** Text that is one of a known set. */
export function oneOf<Value extends string>(): Column<Value> {
  return text as unknown as Column<Value>
}

/** NULL stands for null. */
export function nullable<Value>(column: Column<Value>): Column<Value | null> {
  return {
    encode: (value) => (value === null ? null : column.encode(value)),
    decode: (stored) => (stored === null || stored === undefined ? null : column.decode(stored)),
    kind: column.kind,
  }
}

export type Columns<Row> = { readonly [Field in keyof Row]-?: Column<Row[Field]> }

/** Columns with their names, worked out once for all the handles that a table is bound to. */
export type Fields<Row> = readonly [field: keyof Row & string, name: string, column: Column<unknown>][]

/** For a table that is bound often, where working out the names each time would cost as much as a small query. */
export function fieldsOf<Row extends object>(columns: Columns<Row>): Fields<Row> {
  return Object.entries(columns).map(([field, column]) => [
    field as keyof Row & string,
    columnName(field),
    column as Column<unknown>,
  ])
}

/** `createdAt` → `created_at`. */
export function columnName(field: string): string {
  return field.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
}
