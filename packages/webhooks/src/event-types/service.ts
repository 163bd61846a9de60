/** Looks names up in the catalog and says what it holds. */
import { parse, unknownValue } from '@org/core'
import { z } from 'zod'
import { type EventTypes, subscribesTo } from './catalog.js'
import type { EventType } from './schema.js'

/** The event types of the host, ready to be asked. */
export interface EventTypeCatalog {
  has(name: string): boolean
  /** @throws ProblemError `invalid_input` at `/type` with the known types, or below `/data`. */
  parseData(name: string, data: unknown, root?: string): unknown
  /** The first of the schema's examples, or null. @throws ProblemError `invalid_input` at `/type`. */
  example(name: string): unknown
  /** @throws ProblemError `invalid_input` if a name is unknown or a wildcard covers nothing. */
  checkPatterns(patterns: readonly string[] | null): void
  /** By name. */
  list(): EventType[]
}

export function createEventTypeCatalog(types: EventTypes): EventTypeCatalog {
  const names = Object.keys(types).sort()
  const has = (name: string) => Object.hasOwn(types, name)
  const schemaOf = (name: string, pointer: string) => {
    const schema = has(name) ? types[name] : undefined
    if (!schema) throw unknownValue(pointer, name, names)
    return schema
  }
  const exampleOf = (schema: z.ZodType): unknown => {
    const meta = schema.meta() as { examples?: unknown[] } | undefined
    return meta?.examples?.[0] ?? null
  }

  return {
    has,
    parseData: (name, data, root = '') => parse(schemaOf(name, `${root}/type`), data, `${root}/data`),
    example: (name) => exampleOf(schemaOf(name, '/type')),

    checkPatterns(patterns) {
      for (const [index, pattern] of (patterns ?? []).entries()) {
        if (!names.some((name) => subscribesTo([pattern], name))) {
          throw unknownValue(`/eventTypes/${index}`, pattern, names)
        }
      }
    },

    list: () =>
      names.map((name) => {
        const schema = schemaOf(name, '/type')
        const description = schema.meta()?.description ?? null
        const document = z.toJSONSchema(schema, { unrepresentable: 'any' }) as Record<string, unknown>
        return { name, description, schema: document, example: exampleOf(schema) }
      }),
  }
}
