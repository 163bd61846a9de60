/** Which rows a rule is about: the part of CASL's MongoDB queries that means the same in JavaScript and in SQL. */
import { Text } from '@org/core'
import { z } from 'zod'

/** All the operators that there are. CASL takes what it does not know for a value, and then a deny denies nothing. */
export const operators = ['$eq', '$ne', '$in', '$nin', '$gt', '$gte', '$lt', '$lte'] as const

const isOperator = (name: string) => (operators as readonly string[]).includes(name)

const maxFields = 20
const maxValues = 100
const maxLength = 1000

const identifier = /^[A-Za-z_][A-Za-z0-9_]{0,63}$/
/** What CASL marks a row with is no field of it. */
const reserved: readonly string[] = ['prototype', '__caslSubjectType__']

/**
 * Names that every object has anyway (`__proto__`, `constructor`, `toString`) would be read off rows that do not hold
 * them, and CASL's parser trips over them.
 */
export function isField(name: string): boolean {
  return identifier.test(name) && !(name in Object.prototype) && !reserved.includes(name)
}

const Field = z.string().regex(identifier).refine(isField)

/** Who asks, filled in when their ability is built. */
export const Variable = z.strictObject({ var: z.enum(['userId', 'tenantId']) })
export type Variable = z.infer<typeof Variable>

/** JSON keeps no larger integer exactly, nor do drivers; a larger id is written as text. */
const largest = Number.MAX_SAFE_INTEGER
const Numeric = z.number().min(-largest).max(largest)
const wantedValue = `text of at most ${maxLength} characters, a number, true, false, null or { "var": "userId" or "tenantId" }`

const Value = z
  .union([Text.max(maxLength), Numeric, z.boolean(), z.null(), Variable], { error: `must be ${wantedValue}` })
  .meta({ id: 'RbacConditionValue' })
const Values = z.array(Value).min(1, 'must hold at least one value').max(maxValues)
/** There is no order among booleans and null, and none among ids that means anything. */
const Ordered = z.union([Text.max(maxLength), Numeric], { error: 'must be text or a number' })

const known = operators.join(', ')

const Operators = z
  .strictObject({
    $eq: Value.exactOptional(),
    $ne: Value.exactOptional(),
    $in: Values.exactOptional(),
    $nin: Values.exactOptional(),
    $gt: Ordered.exactOptional(),
    $gte: Ordered.exactOptional(),
    $lt: Ordered.exactOptional(),
    $lte: Ordered.exactOptional(),
  })
  .refine((given) => Object.keys(given).length > 0, `must hold an operator: ${known}`)

/** What is said of one field: a value that it equals, or operators that all hold. */
export const Condition = z.union([Value, Operators], { error: ({ input }) => whatIsWrong(input) })
export type Condition = z.infer<typeof Condition>

/** A union alone would say "invalid input". */
function whatIsWrong(input: unknown): string {
  if (input === undefined) return 'has no value; write null for rows without one'
  if (typeof input === 'object' && input !== null && Object.keys(input).some((key) => key.startsWith('$'))) {
    const [issue] = Operators.safeParse(input).error?.issues ?? []
    if (issue) return [issue.path.join('/'), issue.message].filter(Boolean).join(' ')
  }
  return `must be ${wantedValue}, or an object of operators: ${known}`
}

const Fields = z.record(Field, Condition, {
  error: ({ code, input }) => {
    if (code !== 'invalid_key') return undefined
    return `"${String(input)}" cannot be a field here: write a letter or "_", then at most 63 letters, digits and "_"`
  },
})

/** What Zod would leave out without a word, or refuse without saying what there is instead. */
function refuseStrangers(input: unknown, context: z.core.$RefinementCtx): void {
  if (typeof input !== 'object' || input === null) return
  const refuse = (path: string[], message: string) => context.addIssue({ code: 'custom', path, message })
  if (Object.hasOwn(input, '__proto__')) refuse(['__proto__'], '"__proto__" cannot be a field here')
  for (const [field, condition] of Object.entries(input)) {
    if (field.startsWith('$'))
      refuse([field], `no operator stands here; inside of a field: ${known}; "or" is a second rule`)
    if (!isField(field) || typeof condition !== 'object' || condition === null || Array.isArray(condition)) continue
    const strangers = Object.keys(condition).filter((key) => key !== 'var' && !isOperator(key))
    for (const key of strangers) refuse([field, key], `unknown operator "${key}"; known operators: ${known}`)
  }
}

/**
 * Conditions on a row's fields, all of which must hold: `{ authorId: { var: 'userId' }, score: { $gte: 10, $lt: 20 } }`.
 * Neither empty, which would match every row by mistake, nor nested: "or" is a second rule.
 */
export const Conditions = z
  .preprocess((input: z.infer<typeof Fields>, context) => {
    refuseStrangers(input, context)
    return input
  }, Fields)
  .refine((given) => Object.keys(given).length > 0, 'must name at least one field; leave it out for all rows')
  .refine((given) => Object.keys(given).length <= maxFields, `must name at most ${maxFields} fields`)
  .meta({
    id: 'RbacConditions',
    description: `Field by field: a value, or an object of operators (${known}), all of which must hold.`,
  })
export type Conditions = z.infer<typeof Conditions>
