/** Whether rules are about all that others are about; made for many rules at once. */
import canonicalize from 'canonicalize'
import type { Conditions } from './conditions/schema.js'
import { type PermissionParts, parsePermission } from './permission.js'
import type { Rule } from './rule.js'

/** A rule, taken apart once so that it can be compared often. */
export interface Read<R extends Rule = Rule> {
  rule: R
  parts: PermissionParts | null
  /** Its conditions in one spelling. */
  when: string | undefined
  /** The whole rule in one spelling, without its end. */
  text: string
}

/** Roles that inherit the same rules share their conditions, which are written out once. */
export function createReader(): <R extends Rule>(rule: R) => Read<R> {
  const texts = new Map<Conditions, string>()
  const textOf = (when: Conditions): string => {
    const text = texts.get(when) ?? canonicalize(when) ?? ''
    texts.set(when, text)
    return text
  }
  return (rule) => {
    const { effect, permission, fields } = rule
    const when = rule.when && textOf(rule.when)
    return { rule, parts: parsePermission(permission), when, text: JSON.stringify([effect, permission, when, fields]) }
  }
}

/** Whether one rule is about all that another is about, whatever either does about it. */
export function covers(wide: Read, narrow: Read): boolean {
  const [own, other] = [wide.parts, narrow.parts]
  if (!own || !other) return false
  if (own.resource !== '*' && own.resource !== other.resource) return false
  if (own.action !== '*' && own.action !== other.action) return false
  if (wide.when !== undefined && wide.when !== narrow.when) return false
  const { fields } = wide.rule
  return !fields || (narrow.rule.fields?.every((field) => fields.includes(field)) ?? false)
}

/** Whether two permissions have one in common. */
export function overlaps({ parts: one }: Read, { parts: other }: Read): boolean {
  if (!one || !other) return false
  const meet = (a: string, b: string) => a === '*' || b === '*' || a === b
  return meet(one.resource, other.resource) && meet(one.action, other.action)
}
