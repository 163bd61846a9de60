/** Storage over the host's own Knex instance: unit of work, row codecs, migrations. `knex` itself is only a type here. */

export type { ColumnBuilders } from './column-types.js'
export {
  type Column,
  type Columns,
  columnName,
  type Fields,
  fieldsOf,
  flag,
  integer,
  json,
  nullable,
  oneOf,
  text,
} from './columns.js'
export { type Dialect, dialectOf, isContention, isDuplicateKey } from './dialect.js'
export { knexIdempotency } from './idempotency.js'
export {
  applyMigrations,
  checkPrefix,
  createTable,
  idempotencyMigration,
  type MigrateOptions,
  type Migration,
} from './migrate.js'
export { databaseNow } from './now.js'
export { type PostgresChannel, postgresChannel } from './postgres-channel.js'
export { allOf, runForEach } from './sqlite.js'
export { KnexTable, whereAmong } from './table.js'
export { type KnexUnitOfWorkOptions, knexUnitOfWork } from './unit-of-work.js'
