/** The two gateways share nothing but the published packages, and differ in nothing but the framework. */
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'

const here = fileURLToPath(new URL('../src/', import.meta.url))
const there = fileURLToPath(new URL('../../express-gateway/src/', import.meta.url))

it('differs from the Express gateway in app.ts alone', () => {
  const files = readdirSync(here, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'))
  expect(files.length).toBeGreaterThan(8)
  const others = readdirSync(there, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'))
  expect(files.sort()).toEqual(others.sort())
  const neutral = (text: string) => text.replaceAll('koa-gateway', '…').replaceAll('express-gateway', '…')
  const different = files.filter(
    (file) => neutral(readFileSync(here + file, 'utf8')) !== neutral(readFileSync(there + file, 'utf8')),
  )
  expect(different).toEqual(['app.ts'])
})
