/** Looks names up in the catalogue and says what it holds. */
import { parse, unknownValue } from '@org/core'
import { z } from 'zod'
import { type EventTypes, subscribesTo } from './catalog.js'
import type { EventType } from './schema.js'

export type EventTypesService = ReturnType<typeof createEventTypesService>

export function createEventTypesService(types: EventTypes) {
  const names = Object.keys(types).sort()
  const schemaOf = (name: string, pointer: string) => {
    const schema = Object.hasOwn(types, name) ? types[name] : undefined
    if (!schema) throw unknownValue(pointer, name, names)
    return schema
  }
  const exampleOf = (name: string): unknown => {
    const meta = types[name]?.meta() as { examples?: unknown[] } | undefined
    return meta?.examples?.[0] ?? null
  }

  return {
    has: (name: string): boolean => Object.hasOwn(types, name),

    /** @throws ProblemError `invalid_input` at `/type` with the known types, or below `/data`. */
    parseData(name: string, data: unknown): unknown {
      return parse(schemaOf(name, '/type'), data, '/data')
    },

    /** The first of the schema's examples, or null. @throws ProblemError `invalid_input` at `/type`. */
    example(name: string): unknown {
      schemaOf(name, '/type')
      return exampleOf(name)
    },

    /** @throws ProblemError `invalid_input` if a name is unknown or a wildcard covers nothing. */
    checkPatterns(patterns: readonly string[] | null): void {
      for (const [index, pattern] of (patterns ?? []).entries()) {
        if (!names.some((name) => subscribesTo([pattern], name))) {
          throw unknownValue(`/eventTypes/${index}`, pattern, names)
        }
      }
    },

    list(): EventType[] {
      return names.map((name) => {
        const schema = schemaOf(name, '/type')
        const description = schema.meta()?.description ?? null
        const document = z.toJSONSchema(schema, { unrepresentable: 'any' }) as Record<string, unknown>
        return { name, description, schema: document, example: exampleOf(name) }
      })
    },
  }
}
