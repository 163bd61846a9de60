/** The published documents are OpenAPI 3.1, and no two modules give one name to two things. */
import { readdirSync, readFileSync } from 'node:fs'
import { Validator } from '@seriousme/openapi-schema-validator'
import { expect, it } from 'vitest'

const folder = new URL('../../../docs/openapi/', import.meta.url)
const documents = readdirSync(folder)
  .filter((file) => file.endsWith('.json'))
  .map((file) => [file, JSON.parse(readFileSync(new URL(file, folder), 'utf8'))] as const)

it.each(documents)('%s is valid', async (_, document) => {
  const { valid, errors } = await new Validator().validate(document)
  expect(errors ?? []).toEqual([])
  expect(valid).toBe(true)
})

it('say which bodies can be left out', () => {
  const rbac = documents.find(([file]) => file === 'rbac.json')?.[1]
  const isRequired = (path: string) => rbac.paths[path].post.requestBody.required
  expect(['/leave', '/policies/publish', '/keys/{id}/rotate'].map(isRequired)).toEqual([false, false, false])
  expect(['/keys', '/invites', '/check'].map(isRequired)).toEqual([true, true, true])
})

it('use each schema name and operation id once', () => {
  const names = documents.flatMap(([, document]) =>
    Object.keys(document.components.schemas).filter((name) => name !== 'Problem'),
  )
  expect(names).toEqual([...new Set(names)])
  const operations = documents.flatMap(([, document]) =>
    Object.values(document.paths as Record<string, Record<string, { operationId: string }>>).flatMap((path) =>
      Object.values(path).map((operation) => operation.operationId),
    ),
  )
  expect(operations.length).toBeGreaterThan(40)
  expect(operations).toEqual([...new Set(operations)])
})
