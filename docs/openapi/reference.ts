/** The reference of a module as Markdown: routes, errors and events, from the tables that the code itself runs on. */
import type { ErrorFactory, EventCatalog, HttpModule, Route } from '@org/core'

export interface Reference {
  module: HttpModule
  errors: Readonly<Record<string, ErrorFactory>>
  events: EventCatalog
}

export function referenceOf({ module, errors, events }: Reference): string {
  const routes = module.routes.map((route) => [
    code(`${route.method} ${route.path}`),
    guardOf(route),
    notes(route),
    (route.errors ?? []).map((error) => code(error.code)).join(', '),
  ])
  const known = Object.values(errors).map(({ code: name, status, title }) => [code(name), String(status), title])
  const told = Object.entries(events).map(([type, schema]) => [
    code(type),
    code(`{ ${fieldsOf(schema).join(', ')} }`),
    schema.meta()?.description ?? '',
  ])
  return [
    `# Reference of @org/${module.name}`,
    `<!-- Written by docs/openapi/generate.ts; do not edit. -->`,
    `The same routes as OpenAPI 3.1: [${module.name}.json](../openapi/${module.name}.json). What every route answers with besides, such as 401, 403, 415 and 422, is in the [guide to core](../core/README.md#over-http).`,
    '## Routes',
    table(['route', 'permission', '', 'errors of its own'], routes),
    '## Errors',
    table(['code', 'status', 'says'], known),
    '## Events',
    table(['type', '`data`', 'when'], told),
  ]
    .join('\n\n')
    .concat('\n')
}

function guardOf({ can }: Route): string {
  if (can === 'public') return 'anyone'
  return can === 'authenticated' ? 'signed in' : code(`${can[1]}:${can[0]}`)
}

function notes({ summary, description, idempotent }: Route): string {
  const key = idempotent ? 'Honors `Idempotency-Key`.' : ''
  return [`${summary}.`, description, key].filter(Boolean).join(' ')
}

function fieldsOf(schema: EventCatalog[string]): string[] {
  return 'shape' in schema ? Object.keys(schema.shape as object) : []
}

function table(head: string[], rows: string[][]): string {
  const line = (cells: string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')
}

function code(text: string): string {
  return `\`${text}\``
}
