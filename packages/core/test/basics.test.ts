import {
  allows,
  createEmit,
  createRuntime,
  type DomainEvent,
  decodeCursor,
  encodeCursor,
  openapi,
  parse,
} from '@org/core'
import { fakeClock, recordingLogger } from '@org/core/testing'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { notesModule } from './notes-module.js'

describe('ids', () => {
  it('sort in the order they were made, also within one millisecond and when the clock steps back', () => {
    const clock = fakeClock()
    const { id } = createRuntime({ clock })
    const ids = Array.from({ length: 1000 }, (_, i) => {
      if (i === 500) clock.advance(-60_000)
      return id('msg')
    })
    expect([...ids].sort()).toEqual(ids)
    expect(new Set(ids).size).toBe(1000)
    expect(ids[0]).toMatch(/^msg_[0-9a-z]{26}$/)
  })
})

describe('cursors', () => {
  it('come back as they went out', () => {
    fc.assert(
      fc.property(fc.string(), fc.integer(), (text, number) => {
        expect(decodeCursor(encodeCursor([text, number]), ['string', 'number'])).toEqual([text, number])
      }),
    )
  })

  it('are refused when they are not ours', () => {
    fc.assert(
      fc.property(fc.string(), (junk) => {
        expect(() => decodeCursor(junk, ['string', 'number'])).toThrow(expect.objectContaining({ status: 422 }))
      }),
    )
  })
})

describe('parse', () => {
  it('escapes JSON pointers as RFC 6901 says', () => {
    const schema = z.strictObject({ 'a/b': z.strictObject({ 'c~d': z.array(z.number()) }) })
    expect(() => parse(schema, { 'a/b': { 'c~d': [1, 'x'], extra: 1 } }, '/data')).toThrow(
      expect.objectContaining({
        errors: [
          { pointer: '/data/a~1b/c~0d/1', detail: expect.any(String) },
          { pointer: '/data/a~1b/extra', detail: 'unknown field' },
        ],
      }),
    )
  })
})

describe('allows', () => {
  const ruled = (...rules: { inverted: boolean; conditions?: unknown }[]) => ({
    can: () => true,
    rulesFor: () => rules,
  })

  it('does not take "some rows" for "all rows"', () => {
    const some = { inverted: false, conditions: { ownerId: 'anna' } }
    const all = { inverted: false }
    const butSome = { inverted: true, conditions: { locked: true } }
    expect(allows(ruled(some), 'read', 'notes')).toBe(false)
    expect(allows(ruled(some, all), 'read', 'notes')).toBe(true)
    expect(allows(ruled(butSome, all), 'read', 'notes')).toBe(false)
    expect(allows(ruled(), 'read', 'notes')).toBe(false)
  })

  it('takes nothing but true for a yes', () => {
    expect(allows({ can: () => 'yes' as unknown as boolean }, 'read', 'notes')).toBe(false)
    expect(allows({ can: () => true }, 'read', 'notes')).toBe(true)
  })
})

describe('emit', () => {
  it('tells every sink in order, within the transaction, and passes a failure on', async () => {
    const heard: [string, DomainEvent, object][] = []
    const tx = {}
    const runtime = createRuntime({ clock: fakeClock(5), id: (prefix) => `${prefix}_1` })
    const emit = createEmit(runtime, [
      (event, given) => void heard.push(['first', event, given]),
      async (event, given) => {
        heard.push(['second', event, given])
        throw new Error('no')
      },
      (event, given) => void heard.push(['never', event, given]),
    ])
    const draft = { type: 'note.created', data: { a: 1 }, resource: { type: 'note', id: 'n1' } }
    await expect(emit({ tenantId: 'acme', ip: '::1' }, draft, tx)).rejects.toThrow('no')
    expect(heard.map(([who]) => who)).toEqual(['first', 'second'])
    expect(heard[0]?.[2]).toBe(tx)
    expect(heard[0]?.[1]).toMatchObject({
      ...draft,
      id: 'evt_1',
      time: 5,
      tenantId: 'acme',
      ip: '::1',
      actor: { type: 'system', id: 'system' },
    })
  })
})

describe('OpenAPI', () => {
  it('describes each route from the table', () => {
    const document = openapi(notesModule(recordingLogger()), { title: 'Notes', version: '1.0.0' }) as {
      openapi: string
      paths: Record<string, Record<string, Record<string, unknown>>>
      components: { schemas: Record<string, unknown> }
    }
    expect(document.openapi).toBe('3.1.1')
    expect(document.paths['/notes']?.post).toMatchObject({
      operationId: 'notes.create',
      'x-permission': 'notes:create',
      requestBody: { content: { 'application/json': { schema: { additionalProperties: false } } } },
      responses: {
        201: { content: { 'application/json': { schema: { $ref: '#/components/schemas/Note' } } } },
        422: { description: 'invalid_input' },
      },
    })
    expect(document.paths['/notes/{id}']?.delete).toMatchObject({
      parameters: [{ name: 'id', in: 'path', required: true }],
    })
    expect(document.paths['/hook']?.post).toMatchObject({ security: [] })
    expect(document.components.schemas.Note).toMatchObject({
      properties: { createdAt: { type: 'string', format: 'date-time' } },
    })
    expect(Object.keys(document.components.schemas).sort()).toEqual(['Note', 'Problem'])
  })
})
