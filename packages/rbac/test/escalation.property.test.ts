/** Whatever two members do together, they never come to what neither of them held. */
import { type Actor, allows } from '@org/core'
import { fakeClock, recordingLogger } from '@org/core/testing'
import { createRbac, defineResources, memoryStorage, predefinedResources } from '@org/rbac'
import fc from 'fast-check'
import { expect, it } from 'vitest'

const logger = recordingLogger()
const { team, roles, policies } = predefinedResources
const resources = defineResources({ team, roles, policies, posts: ['read', 'update'], notes: ['read', 'update'] })
const user = (id: string): Actor => ({ type: 'user', id })
const tenantId = 't'
const keys = ['r0', 'r1', 'r2', 'r3']
const attackers = ['eve', 'ann']
const users = [...attackers, 'new', 'bob']

const permission = fc.constantFrom(
  ...(['posts:read', 'posts:update', 'posts:*', 'notes:*', 'notes:read', '*:read', '*', 'team:*', 'roles:*'] as const),
)
const limits = fc.record(
  {
    when: fc.constantFrom({ id: 'p1' }, { id: { $ne: 'p1' } }),
    fields: fc.constantFrom(['title'], ['title', 'body']),
  },
  { requiredKeys: [] },
)
const deny = fc
  .tuple(permission, limits)
  .map(([permission, more]) => ({ effect: 'deny' as const, permission, ...more }))
const some = fc
  .tuple(permission, limits)
  .filter(([, more]) => Object.keys(more).length > 0)
  .map(([permission, more]) => ({ effect: 'allow' as const, permission, ...more }))
const definition = (parents: string[]) =>
  fc.record({
    inherits: fc.subarray(parents),
    permissions: fc.uniqueArray(permission, { maxLength: 2 }),
    rules: fc.array(fc.oneof(deny, some), { maxLength: 2 }),
  })
const denial = fc.record({ rules: fc.array(deny, { maxLength: 2 }) })
const on = fc.constantFrom(undefined, undefined, { resource: 'posts', id: 'p1' })
const by = fc.constantFrom(...attackers)
const userId = fc.constantFrom(...users)
const role = fc.constantFrom(...keys)
const given = fc.record({ userId, role, on })

const step = fc.oneof(
  fc.record({
    does: fc.constant('update' as const),
    by,
    role,
    to: fc.oneof(denial, definition(['r0', 'r1', 'read_only'])),
  }),
  fc.record({ does: fc.constant('define' as const), by, to: definition(['r0', 'r1']) }),
  fc.record({ does: fc.constant('delete' as const), by, role }),
  fc.record({ does: fc.constant('assign' as const), by, given, forMs: fc.constantFrom(undefined, 10, 1000) }),
  fc.record({ does: fc.constant('unassign' as const), by, given }),
  fc.record({ does: fc.constant('setRoles' as const), by, userId, roles: fc.subarray(keys) }),
  fc.record({ does: fc.constant('suspend' as const), by, userId }),
  fc.record({ does: fc.constant('reactivate' as const), by, userId }),
  fc.record({ does: fc.constant('remove' as const), by, userId }),
  fc.record({ does: fc.constant('invite' as const), by, userId, roles: fc.subarray(keys, { minLength: 1 }) }),
  fc.record({ does: fc.constant('rollback' as const), by, version: fc.nat({ max: 4 }) }),
  fc.record({ does: fc.constant('wait' as const), by }),
)

it('two members and whomever they let in never hold what neither held', async () => {
  let done = 0
  const start = fc.record({
    definitions: fc.tuple(definition([]), definition(['r0']), denial, denial),
    held: fc.tuple(...attackers.map(() => fc.subarray(keys, { minLength: 3 }))),
    others: fc.array(given, { maxLength: 4 }),
  })
  await fc.assert(
    fc.asyncProperty(
      start,
      fc.array(step, { minLength: 5, maxLength: 25 }),
      async ({ definitions, held: roles, others }, steps) => {
        const clock = fakeClock()
        const rbac = createRbac({ storage: memoryStorage(), logger, clock, resources, cache: false })
        const host = { tenantId }
        await rbac.assignments.assign(host, { userId: 'olga', role: 'owner' })
        const all = Object.fromEntries(keys.map((key, i) => [key, definitions[i] ?? {}]))
        const boss = { permissions: ['team:*', 'roles:*', 'policies:*'] as const }
        const { etag } = await rbac.policies.draft(host, { roles: { ...all, boss } } as never)
        await rbac.policies.publish(host, { ifMatch: etag })
        const own = attackers.flatMap((userId, i) => ['boss', ...(roles[i] ?? [])].map((role) => ({ userId, role })))
        for (const one of [...own, ...others]) {
          if (one.userId !== 'new') await rbac.assignments.assign(host, one as never)
        }
        const held = async () => {
          const found = new Set<string>()
          for (const userId of [...attackers, 'new']) {
            const ability = await rbac.abilityFor({ userId, tenantId })
            for (const [resource, actions] of Object.entries(resources)) {
              for (const action of actions) {
                for (const id of ['p1', 'p2']) {
                  for (const field of [undefined, 'title', 'body']) {
                    const about = { row: { id }, ...(field && { fields: [field] }) }
                    if (allows(ability as never, action, resource, about))
                      found.add([resource, action, id, field].join(' '))
                  }
                }
              }
            }
          }
          return found
        }
        const before = await held()
        for (const one of steps) {
          const scope = { tenantId, actor: user(one.by) }
          const act = async (): Promise<unknown> => {
            switch (one.does) {
              case 'update':
                return rbac.roles.update(scope, one.role, one.to as never)
              case 'define':
                return rbac.roles.create(scope, { key: 'r9', ...one.to } as never)
              case 'delete':
                return rbac.roles.delete(scope, one.role)
              case 'assign': {
                const { forMs } = one
                return rbac.assignments.assign(scope, {
                  ...(one.given as { userId: string; role: string }),
                  ...(forMs !== undefined && { expiresAt: clock.now() + forMs }),
                })
              }
              case 'unassign':
                return rbac.assignments.unassign(scope, one.given as never)
              case 'setRoles':
                return rbac.members.setRoles(scope, one.userId, { roles: one.roles })
              case 'suspend':
                return rbac.members.suspend(scope, one.userId)
              case 'reactivate':
                return rbac.members.reactivate(scope, one.userId)
              case 'remove':
                return rbac.members.remove(scope, one.userId)
              case 'invite': {
                const { token } = await rbac.invites.create(scope, { link: {}, roles: one.roles })
                return rbac.invites.accept({ token, userId: one.userId })
              }
              case 'rollback':
                return rbac.policies.rollback(scope, { version: one.version + 1 })
              case 'wait':
                return clock.advance(20)
            }
          }
          const isDone = await act().then(
            () => true,
            () => false,
          )
          if (!isDone) continue
          done++
          const after = await held()
          expect([...after].filter((right) => !before.has(right))).toEqual([])
        }
      },
    ),
    { numRuns: 150 },
  )
  // A test in which everything is refused proves nothing.
  expect(done).toBeGreaterThan(150)
}, 60_000)
