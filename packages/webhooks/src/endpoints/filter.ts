/** Payload filters: which messages an endpoint hears, by what is in them. The language is in `docs/webhooks/filters.md`. */
import { type Logger, parse } from '@org/core'
import { z } from 'zod'
import { boundedMap } from '../signing/bounded-map.js'
import { filterMistakes } from './filter/check.js'
import { compile as compileChecked, type Predicate } from './filter/compile.js'
import type { Filter as FilterExpression } from './filter/language.js'

/** A filter as it is written and stored. What is wrong with one is said at its JSON pointer, with what is allowed. */
export const Filter = z
  .custom<FilterExpression>()
  .superRefine((filter, issues) => {
    for (const { path, message } of filterMistakes(filter)) issues.addIssue({ code: 'custom', path, message })
  })
  .meta({
    id: 'WebhookFilter',
    type: 'object',
    minProperties: 1,
    description:
      'Conditions on `data` that all must hold. Keys are dotted paths, or `$and`, `$or` (lists of filters) and `$not` ' +
      '(a filter). A path takes a scalar that it equals, or an object of `$eq`, `$ne`, `$in`, `$nin`, `$gt`, `$gte`, ' +
      '`$lt`, `$lte` and `$exists`.',
    examples: [{ amount: { $gte: 100 }, 'customer.country': { $in: ['DE', 'AT'] } }],
  })
export type Filter = z.infer<typeof Filter>

/**
 * The filter as a function of a message's `data`, which is taken to be JSON. It never throws and takes time linear in
 * the data, for each condition. @throws ProblemError `invalid_input` for a value that is no filter.
 */
export function compileFilter(filter: Filter): (data: unknown) => boolean {
  return compileChecked(parse(Filter, filter, '/filter'))
}

/** Filters that were compiled, remembered by their JSON text. */
export interface Filters {
  /** Whether the data passes. @throws ProblemError `invalid_input` for a value that is no filter. */
  matches(filter: Filter, data: unknown): boolean
  /**
   * Whether an endpoint hears the data. One whose stored filter is none, which only a hand in the database can bring
   * about, hears nothing, and the log says so once: others of its tenant must go on.
   */
  hears(endpoint: { id: string; filter: Filter | null }, data: () => unknown): boolean
}

/** Remembers so many filters, 1000 unless told; the one that was not used for the longest time goes first. */
export function createFilters({
  capacity = 1000,
  compile = compileFilter,
  logger,
}: {
  capacity?: number
  compile?: typeof compileFilter
  logger?: Pick<Logger, 'error'>
} = {}): Filters {
  // A map keeps the order of insertion: the first is the one that was not used for the longest time.
  const compiled = new Map<string, Predicate>()

  const broken = boundedMap<string, true>(capacity)

  function predicateOf(filter: Filter): Predicate {
    const text = JSON.stringify(filter)
    const predicate = compiled.get(text) ?? compile(filter)
    compiled.delete(text)
    compiled.set(text, predicate)
    const [oldest] = compiled.size > capacity ? compiled.keys() : []
    if (oldest !== undefined) compiled.delete(oldest)
    return predicate
  }

  function sayOnce(endpointId: string, error: unknown): void {
    if (broken.get(endpointId)) return
    broken.set(endpointId, true)
    logger?.error('The stored filter of an endpoint is none: it hears nothing until it is given another', {
      endpointId,
      error,
    })
  }

  return {
    matches: (filter, data) => predicateOf(filter)(data),

    hears({ id, filter }, data) {
      if (filter === null) return true
      let predicate: Predicate
      try {
        predicate = predicateOf(filter)
      } catch (error) {
        sayOnce(id, error)
        return false
      }
      return predicate(data())
    },
  }
}
