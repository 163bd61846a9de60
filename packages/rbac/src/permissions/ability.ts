/** CASL abilities over our catalog: CASL's own class, without the ways in which it says yes by mistake. */
import {
  Ability,
  type AbilityTuple,
  type ForcedSubject,
  fieldPatternMatcher,
  type MongoAbility,
  type MongoQuery,
  mongoQueryMatcher,
  type RawRuleOf,
  type SubjectType,
} from '@casl/ability'
import type { Catalog } from './catalog.js'
import { parsePermission } from './permission.js'
import type { ActionOf, ResourceOf, Resources } from './resources.js'

type Row<Resource extends string> = Record<PropertyKey, unknown> & ForcedSubject<Resource>

/** A CASL ability that knows the catalog's resources and actions by type. Fits CASL's tools and core's `Ability`. */
export type RbacAbility<R extends Resources> = MongoAbility<
  | { [Resource in ResourceOf<R>]: [ActionOf<R, Resource> | 'manage', Resource | Row<Resource>] }[ResourceOf<R>]
  | [ActionOf<R, ResourceOf<R>> | 'manage', 'all']
>

export type Rule = RawRuleOf<MongoAbility>

type MatchingRules = ReturnType<MongoAbility['possibleRulesFor']>

const tag = '__caslSubjectType__'

/**
 * Knows nothing but the catalog. CASL alone takes a missing subject for every subject and lets an owner do actions
 * that do not exist, since `manage` on `all` matches any argument; and it believes a subject type that came with a
 * parsed body. All of CASL's questions (`can`, `rulesFor`, `rulesToAST`, …) come through the two methods overridden.
 */
class CatalogAbility extends Ability<AbilityTuple, MongoQuery> {
  readonly #catalog: Catalog

  constructor(catalog: Catalog, rules: Rule[]) {
    super(rules, { conditionsMatcher: mongoQueryMatcher, fieldMatcher: fieldPatternMatcher })
    this.#catalog = catalog
  }

  override detectSubjectType(subject?: AbilityTuple[1]): SubjectType {
    if (typeof subject === 'string') return subject
    if (typeof subject !== 'object' || subject === null) return ''
    // CASL's `subject()` tags rows with a property that is not enumerable; JSON cannot make one.
    if (Object.getOwnPropertyDescriptor(subject, tag)?.enumerable) return ''
    return super.detectSubjectType(subject)
  }

  override possibleRulesFor(action: string, subjectType: SubjectType = 'all'): MatchingRules {
    return this.#knows(action, subjectType) ? super.possibleRulesFor(action, subjectType) : []
  }

  #knows(action: string, subjectType: SubjectType): boolean {
    if (typeof subjectType !== 'string') return false
    if (action === 'manage') return subjectType === 'all' || this.#catalog.hasResource(subjectType)
    return subjectType === 'all' ? this.#catalog.actions.has(action) : this.#catalog.has(subjectType, action)
  }
}

/** Allows come before denies, whatever role they come from: in CASL the last rule that matches decides. */
export function createAbility(catalog: Catalog, rules: readonly Rule[]): MongoAbility {
  const denies = (rule: Rule) => rule.inverted === true
  return new CatalogAbility(catalog, [...rules.filter((rule) => !denies(rule)), ...rules.filter(denies)])
}

/** Permissions in CASL's words: `*` in a permission is `manage` as an action and `all` as a subject. */
export function rulesOf(permissions: readonly string[]): Rule[] {
  return [...new Set(permissions)].flatMap((permission) => {
    const parts = parsePermission(permission)
    if (!parts) return []
    const { resource, action } = parts
    return [{ action: action === '*' ? 'manage' : action, subject: resource === '*' ? 'all' : resource }]
  })
}

/** A copy of the row that CASL takes for this resource. The row itself is left alone: it may be frozen or the host's. */
export function asSubject<Resource extends string>(resource: Resource, row: object): ForcedSubject<Resource> & object {
  const own = { ...Object.getOwnPropertyDescriptors(row), [tag]: { value: resource } }
  return Object.create(Object.getPrototypeOf(row), own)
}
