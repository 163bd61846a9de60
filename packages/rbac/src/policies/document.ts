/** Between the document that people write and the roles that are kept. */
import { coreErrors, parse } from '@org/core'
import canonicalize from 'canonicalize'
import { roleOf } from '../roles/catalog.js'
import type { Role } from '../roles/schema.js'
import { PolicyDocument, type PolicyTest } from './schema.js'

/** The most characters of a document as JSON: a mebibyte, as much as our routes read. */
const maxLength = 1024 * 1024

/** A document that was read: whole, with plain lists. */
export interface ReadDocument {
  roles: Record<string, RoleDefinitionRead>
  tests: PolicyTest[]
}
type RoleDefinitionRead = NonNullable<ReturnType<typeof parseDocument>['roles'][string]>

/** @throws ProblemError `invalid_input` at a pointer below `root`. */
export function readDocument(input: unknown, root = ''): ReadDocument {
  const { roles, tests = [] } = parseDocument(input, root)
  if (JSON.stringify({ roles, tests }).length > maxLength) {
    const detail = `must be at most ${maxLength} characters of JSON`
    throw coreErrors.invalid_input({ errors: [{ pointer: root, detail }] })
  }
  return { roles, tests }
}

function parseDocument(input: unknown, root: string) {
  return parse(PolicyDocument, input, root)
}

/**
 * The roles of a document. A role keeps the id that its key has in the version before; a key that was not there gets a
 * new id, also one that was there once: nobody who had the old role has the new one.
 */
export function rolesOf(document: ReadDocument, before: readonly Role[], newId: (key: string) => string): Role[] {
  const ids = new Map(before.map(({ key, id }) => [key, id]))
  return Object.entries(document.roles).map(([key, definition]) =>
    roleOf(definition, { id: ids.get(key) ?? newId(key), key, custom: true }),
  )
}

/** A document that says just what these roles are: fit to be edited, and drafted again. */
export function documentOf({ roles, tests }: { roles: readonly Role[]; tests: readonly PolicyTest[] }): ReadDocument {
  return { roles: Object.fromEntries(roles.map((role) => [role.key, definitionOf(role)])), tests: [...tests] }
}

export function definitionOf(role: Role) {
  const { name, description, inherits, permissions, rules } = role
  return { name, ...(description !== null && { description }), inherits, permissions, rules }
}

/** Whether two roles say the same; the order of permissions says nothing. */
export function saysTheSame(one: Role, other: Role): boolean {
  return textOf(one) === textOf(other)
}

function textOf(role: Role): string {
  return canonicalize({ ...definitionOf(role), permissions: [...role.permissions].sort() }) ?? ''
}
