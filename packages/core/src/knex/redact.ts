/** Keeps what is stored out of logs: Knex and mysql2 write a failed statement into its error, with all its values. */

/** Cuts the statement that Knex put before the database's own words down to its verb and table. */
export function withoutValues(error: unknown, prefix: string): unknown {
  if (!(error instanceof Error)) return error
  const { message, stack } = error
  const statement = new RegExp(`^(?:insert into|update|delete from|select)\\b[^'(]*?${prefix}\\w+`, 'i').exec(message)
  // Knex writes `statement - message`, and values stand in the statement alone.
  const end = message.lastIndexOf(' - ')
  if (!statement || end < 0) return error
  error.message = `${statement[0]} …${message.slice(end)}`
  error.stack = stack?.replace(message, () => error.message) ?? ''
  if ('sql' in error) error.sql = undefined
  return error
}
