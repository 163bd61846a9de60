/** CASL abilities over our catalog: CASL's own class, without the ways in which it says yes by mistake. */
import {
  Ability,
  type AbilityTuple,
  type ForcedSubject,
  fieldPatternMatcher,
  type MongoAbility,
  type MongoQuery,
  type RawRuleOf,
  type SubjectType,
} from '@casl/ability'
import { coreErrors } from '@org/core'
import type { Authority } from './authority.js'
import type { Catalog } from './catalog.js'
import { conditionsMatcher } from './conditions/matcher.js'
import { fillVariables, type Variables } from './conditions/variables.js'
import { parsePermission } from './permission.js'
import type { ActionOf, ResourceOf, Resources } from './resources.js'
import type { HeldRule } from './rule.js'

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
  /** What was found, by subject and action: no more than the catalog has. */
  readonly #found = new Map<SubjectType, Map<string, MatchingRules>>()

  constructor(catalog: Catalog, rules: Rule[]) {
    super(rules, { conditionsMatcher, fieldMatcher: fieldPatternMatcher })
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
    const found = this.#found.get(subjectType)?.get(action)
    if (found) return found
    if (!this.#knows(action, subjectType)) return []
    const rules = super.possibleRulesFor(action, subjectType)
    const ofSubject = this.#found.get(subjectType) ?? new Map<string, MatchingRules>()
    this.#found.set(subjectType, ofSubject.set(action, rules))
    return rules
  }

  /** What one host changed here would count for everybody who holds the same. */
  override update(): never {
    const detail = 'This ability is shared. Change one of your own: createMongoAbility([...ability.rules, …]).'
    throw coreErrors.setup_error({ detail })
  }

  #knows(action: string, subjectType: SubjectType): boolean {
    if (typeof subjectType !== 'string') return false
    if (action === 'manage') return subjectType === 'all' || this.#catalog.hasResource(subjectType)
    return subjectType === 'all' ? this.#catalog.actions.has(action) : this.#catalog.has(subjectType, action)
  }
}

/** The rule that a CASL rule was made of, for whoever explains a decision. */
export type RuleOrigins = ReadonlyMap<Rule, HeldRule>

/**
 * An authority as CASL has it. Allows come before denies, whatever role they come from: in CASL the last rule that
 * matches decides.
 */
export function createAbility(
  catalog: Catalog,
  { rules, userId, tenantId }: Pick<Authority, 'rules' | 'userId' | 'tenantId'>,
): { ability: MongoAbility; origins: RuleOrigins } {
  const origins = new Map(rules.map((held) => [frozen(rawRuleOf(held, { userId, tenantId })), held]))
  const raw = [...origins.keys()]
  const denies = (rule: Rule) => rule.inverted === true
  const ability = new CatalogAbility(catalog, [...raw.filter((rule) => !denies(rule)), ...raw.filter(denies)])
  return { ability, origins }
}

/** A rule in CASL's words: `*` in a permission is `manage` as an action and `all` as a subject. */
function rawRuleOf({ effect, permission, when, fields }: HeldRule, variables: Variables): Rule {
  const { resource, action } = parsePermission(permission) ?? { resource: '', action: '' }
  return {
    action: action === '*' ? 'manage' : action,
    subject: resource === '*' ? 'all' : resource,
    ...(effect === 'deny' && { inverted: true }),
    ...(when && { conditions: fillVariables(when, variables) }),
    ...(fields && { fields: [...fields] }),
  }
}

/** Rules are shared, and CASL reads them when it is asked. */
function frozen<Value>(value: Value): Value {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value)
    for (const part of Object.values(value)) frozen(part)
  }
  return value
}
