/** Column types for migrations, so that a column means the same on every database. */
import type { Knex } from 'knex'
import { dialectOf } from './dialect.js'

type Builder = Knex.ColumnBuilder

/** What a migration's `createTable` writes its columns with. Names are snake case; columns refuse NULL unless told. */
export interface ColumnBuilders {
  /** An id of ours, or a host's tenant or user id: compared byte by byte, 128 characters unless told. */
  id(name: string, length?: number): Builder
  /** Any text, not indexed. */
  text(name: string): Builder
  /** Plain data as JSON text, up to 4 GiB. */
  json(name: string): Builder
  integer(name: string): Builder
  /** Epoch milliseconds, money in minor units, or another 64-bit integer. */
  bigint(name: string): Builder
  flag(name: string): Builder
}

/** MySQL's default takes "A" and "a" for the same tenant, and a database of another character set takes no other text. */
const mysqlCollation = 'utf8mb4_bin'

/** The columns of a table under construction. */
export function columnsOf(knex: Knex, table: Knex.CreateTableBuilder): ColumnBuilders {
  const mysql = dialectOf(knex) === 'mysql'
  const id = (name: string, length = 128) => {
    const column = table.string(name, length).notNullable()
    return mysql ? column.collate(mysqlCollation) : column
  }
  const long = (name: string) =>
    mysql ? table.text(name, 'longtext').notNullable().collate(mysqlCollation) : table.text(name).notNullable()
  return {
    id,
    text: long,
    json: long,
    integer: (name) => table.integer(name).notNullable(),
    bigint: (name) => table.bigInteger(name).notNullable(),
    flag: (name) => table.smallint(name).notNullable(),
  }
}
