/** What changes from one document to another, for people. */
import { createTwoFilesPatch } from 'diff'
import type { Role } from '../roles/schema.js'
import { definitionOf, saysTheSame } from './document.js'
import type { PolicyDiff, PolicyTest } from './schema.js'

interface Side {
  /** `version 3`, `draft`. */
  name: string
  roles: readonly Role[]
  tests: readonly PolicyTest[]
}

/** Past so many changed lines, a role is shown as taken out and put in: finding the fewest takes their square. */
const maxChanges = 1000

/** A unified diff with one file for each role that changes, and one for the tests. */
export function diffTexts(from: Side, to: Side): Pick<PolicyDiff, 'text' | 'roles'> {
  const old = new Map(from.roles.map((role) => [role.key, role]))
  const own = new Map(to.roles.map((role) => [role.key, role]))
  const roles: PolicyDiff['roles'] = []
  const files: string[] = []
  for (const key of [...new Set([...old.keys(), ...own.keys()])].sort()) {
    const [was, is] = [old.get(key), own.get(key)]
    if (was && is && was.id === is.id && saysTheSame(was, is)) continue
    roles.push({ key, change: was && is ? 'changed' : is ? 'added' : 'removed' })
    files.push(fileDiff(`roles/${key}`, was && roleText(was), is && roleText(is), from, to))
  }
  const [before, after] = [testsText(from.tests), testsText(to.tests)]
  if (before !== after) files.push(fileDiff('tests', before, after, from, to))
  return { text: files.join(''), roles }
}

function fileDiff(name: string, was: string | undefined, is: string | undefined, from: Side, to: Side): string {
  const headers = [was === undefined ? '/dev/null' : name, is === undefined ? '/dev/null' : name] as const
  const [before, after] = [was ?? '', is ?? '']
  return (
    createTwoFilesPatch(...headers, before, after, from.name, to.name, { maxEditLength: maxChanges }) ??
    createTwoFilesPatch(...headers, before, '', from.name, to.name) +
      createTwoFilesPatch(...headers, '', after, from.name, to.name)
  )
}

/** One line for each thing that can change, in an order of its own. */
function roleText(role: Role): string {
  const { rules, ...definition } = definitionOf(role)
  const text = JSON.stringify({ ...definition, permissions: [...role.permissions].sort() }, null, 2)
  const list = rules.map((rule) => `    ${JSON.stringify(rule)}`).join(',\n')
  return `${text.slice(0, -2)},\n  "rules": [${list ? `\n${list}\n  ` : ''}]\n}\n`
}

function testsText(tests: readonly PolicyTest[]): string {
  return tests.map((test) => `${JSON.stringify(test)}\n`).join('')
}
