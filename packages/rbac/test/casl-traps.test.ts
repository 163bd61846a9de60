/** The ways in which CASL 7 alone says yes by mistake, and that this module does not. */
import { type AbilityTuple, createMongoAbility, defineAbility, type MongoAbility, subject } from '@casl/ability'
import { packRules, rulesToAST, unpackRules } from '@casl/ability/extra'
import { type Ability, allows as decides } from '@org/core'
import { recordingLogger } from '@org/core/testing'
import { createRbac, predefinedResources } from '@org/rbac'
import { describe, expect, it } from 'vitest'
import { createAbility } from '../src/permissions/ability.js'
import { Catalog } from '../src/permissions/catalog.js'
import type { Rule } from '../src/permissions/rule.js'

const catalog = new Catalog(predefinedResources)
const via = { assignmentId: null, role: 'test', path: ['test'] }
const abilityOf = (...rules: Rule[]) => {
  const held = rules.map((rule) => ({ ...rule, via, expiresAt: null }))
  return createAbility(catalog, { rules: held, userId: 'ann', tenantId: 'acme' }).ability
}
const abilityWith = (...permissions: string[]) =>
  abilityOf(...permissions.map((permission) => ({ effect: 'allow' as const, permission })))
const allows = (ability: Ability, action: string, resource: string, row?: object | null) =>
  decides(ability, action, resource, { row: row as object })
const owner = abilityWith('*')

describe('CASL', () => {
  it('does not read `*` by itself; ours do what they say', () => {
    const literal = createMongoAbility([{ action: '*', subject: '*' }])
    expect(literal.can('read', 'keys')).toBe(false)
    expect(owner.can('delete', 'policies')).toBe(true)
    expect(abilityWith('keys:*').can('delete', 'keys')).toBe(true)
    expect(abilityWith('keys:*').can('read', 'team')).toBe(false)
    expect(abilityWith('*:read').can('read', 'audit')).toBe(true)
    expect(abilityWith('*:read').can('delete', 'audit')).toBe(false)
  })

  it('knows `manage` and `all` as CASL’s tools ask for them', () => {
    expect(owner.can('manage', 'all')).toBe(true)
    expect(abilityWith('keys:*').can('manage', 'keys')).toBe(true)
    expect(abilityWith('keys:*').can('manage', 'all')).toBe(false)
    expect(abilityWith('*:read').can('read', 'all')).toBe(true)
    // Holding every action is not `manage`: one more may come.
    const every = abilityWith('keys:create', 'keys:read', 'keys:update', 'keys:delete')
    expect(every.can('manage', 'keys')).toBe(false)
  })

  it('a rule about some rows is no yes about all of them', async () => {
    const some = abilityOf({ effect: 'allow', permission: 'keys:read', when: { ownerId: 'ann' } })
    expect(some.can('read', 'keys')).toBe(true)
    expect(allows(some, 'read', 'keys')).toBe(false)
    expect(allows(some, 'read', 'keys', { ownerId: 'ann' })).toBe(true)
    expect(allows(some, 'read', 'keys', { ownerId: 'bob' })).toBe(false)
    expect(allows(some, 'read', 'keys', null)).toBe(false)
    expect(allows(some, 'read', 'keys', {})).toBe(false)

    const both = defineAbility((can) => {
      can('read', 'keys')
      can('read', 'keys', { ownerId: 'ann' })
    })
    expect(allows(both, 'read', 'keys')).toBe(true)
    const except = defineAbility((can, cannot) => {
      can('read', 'keys')
      cannot('read', 'keys', { secret: true })
    })
    expect(except.can('read', 'keys')).toBe(true)
    expect(allows(except, 'read', 'keys')).toBe(false)
    expect(allows(except, 'read', 'keys', { secret: false })).toBe(true)
    expect(allows(except, 'read', 'keys', { secret: true })).toBe(false)
    // Any object with `can` fits; without rules to look at, its word is taken.
    expect(allows({ can: () => true }, 'read', 'keys')).toBe(true)
    expect(allows({ can: () => 'yes' as never }, 'read', 'keys')).toBe(false)
  })

  it('a deny wins over an allow, whatever role comes last', () => {
    const bare = [
      { action: 'read', subject: 'keys', inverted: true },
      { action: 'manage', subject: 'all' },
    ]
    expect(createMongoAbility(bare).can('read', 'keys')).toBe(true)
    const rules: Rule[] = [
      { effect: 'deny', permission: 'keys:read' },
      { effect: 'allow', permission: '*' },
    ]
    for (const order of [rules, rules.toReversed()]) {
      const ability = abilityOf(...order)
      expect(ability.can('read', 'keys')).toBe(false)
      expect(ability.can('update', 'keys')).toBe(true)
    }
  })

  it('a subject type in a parsed body is not believed, and rows are left as they are', () => {
    const team = abilityWith('team:delete')
    const body = JSON.parse('{"id":1,"__caslSubjectType__":"team"}')
    expect(createMongoAbility([{ action: 'delete', subject: 'team' }]).can('delete', body)).toBe(true)
    expect(team.can('delete', body)).toBe(false)
    expect(allows(team, 'delete', 'keys', body)).toBe(false)
    expect(allows(team, 'delete', 'team', body)).toBe(true)
    expect(team.can('delete', subject('team', { id: 1 }))).toBe(true)

    const frozen = Object.freeze({ id: 1, ownerId: null })
    expect(() => subject('keys', frozen)).toThrow(TypeError)
    expect(allows(abilityWith('keys:read'), 'read', 'keys', frozen)).toBe(true)
    expect(Object.getOwnPropertyNames(frozen)).toEqual(['id', 'ownerId'])
    class Key {
      constructor(private readonly by: string) {}
      get ownerId() {
        return this.by
      }
    }
    const mine = abilityOf({ effect: 'allow', permission: 'keys:read', when: { ownerId: 'ann' } })
    expect(allows(mine, 'read', 'keys', new Key('ann'))).toBe(true)
    expect(allows(mine, 'read', 'keys', new Key('bob'))).toBe(false)
  })

  it('nothing is not everything, and what the catalog does not know is refused, even to an owner', () => {
    const bare = createMongoAbility([{ action: 'manage', subject: 'all' }]) as MongoAbility<AbilityTuple>
    const loose = (ability: MongoAbility, action: unknown, on?: unknown) => ability.can(action as string, on as string)
    const questions: [unknown, unknown?][] = [
      [undefined, 'keys'],
      [null, 'keys'],
      ['', 'keys'],
      ['read', null],
      ['read', undefined],
      ['read', ''],
      ['read'],
      [undefined, undefined],
      ['read', 'kyes'],
      ['erase', 'keys'],
      ['erase', 'all'],
      ['*', 'keys'],
      ['read', '*'],
      ['read', {}],
      ['read', class keys {}],
      ['manage', 'kyes'],
    ]
    for (const [action, on] of questions) {
      expect(loose(bare, action, on), `bare ${String(action)} ${String(on)}`).toBe(true)
      expect(loose(owner, action, on), `${String(action)} ${String(on)}`).toBe(false)
      expect(owner.cannot(action as string, on as string)).toBe(true)
    }
    expect(owner.rulesFor('read', 'kyes')).toEqual([])
    expect(rulesToAST(owner, 'read', 'keys')).not.toBeNull()
    expect(rulesToAST(owner, 'read', 'kyes')).toBeNull()
  })

  it('packed rules come out as they went in, on CASL’s own ability in the browser', async () => {
    for (const permissions of [['*'], ['keys:*', 'analytics:read'], ['*:read'], []]) {
      const server = abilityWith(...permissions)
      const client = createMongoAbility(unpackRules(JSON.parse(JSON.stringify(packRules(server.rules)))) as never)
      for (const permission of catalog.expand(['*'])) {
        const [resource = '', action = ''] = permission.split(':')
        expect(client.can(action, resource)).toBe(server.can(action, resource))
      }
    }
  })

  it('asked about a list of fields with holes says no', () => {
    for (const ability of [
      abilityWith(),
      abilityOf({ effect: 'allow', permission: 'keys:update', fields: ['name'] }),
    ]) {
      for (const fields of [new Array(1), Object.assign(['name'], { length: 2 }), [undefined]] as string[][]) {
        expect(decides(ability, 'update', 'keys', { fields })).toBe(false)
      }
    }
  })

  it('asked about a row that is not there says no', async () => {
    const rbac = createRbac({ logger: recordingLogger() })
    await rbac.assignments.assign({ tenantId: 'default' }, { userId: 'ann', role: 'owner' })
    expect(await rbac.checkPermission('ann', 'keys', 'read', { row: null as never })).toBe(false)
    expect(await rbac.checkPermission('ann', 'keys', 'read', { row: Object.freeze({ id: 1 }) })).toBe(true)
  })
})
