/** A module as small as one can be, with every kind of route, for the HTTP contract. */
import {
  coreErrors,
  createRuntime,
  type HttpModule,
  type IdempotencyRecord,
  type Logger,
  type MemoryDatabase,
  memoryDatabase,
  memoryIdempotency,
  memoryUnitOfWork,
  PageQuery,
  pageOf,
  paginate,
  rawBody,
  route,
  TimeView,
} from '@org/core'
import { z } from 'zod'

const Note = z.object({ id: z.string(), text: z.string(), createdAt: TimeView }).meta({ id: 'Note' })
const CreateNote = z.strictObject({ text: z.string().min(1).max(100) })

interface StoredNote {
  id: string
  tenantId: string
  text: string
  createdAt: number
  secret: string
}

export function notesModule(logger: Logger): HttpModule & { notes: StoredNote[]; database: MemoryDatabase } {
  const runtime = createRuntime({ logger, clock: { now: () => Date.UTC(2026, 0, 1) } })
  const keys = new Map<string, IdempotencyRecord>()
  const database = memoryDatabase()
  const storage = memoryUnitOfWork(database, (tx) => ({ idempotency: memoryIdempotency(keys, tx) }))
  const notes: StoredNote[] = []
  const routes = [
    route({
      id: 'notes.create',
      method: 'POST',
      path: '/notes',
      summary: 'Write a note',
      can: ['create', 'notes'],
      body: CreateNote,
      status: 201,
      idempotent: true,
      response: Note,
      async handler({ body }, { tenantId }) {
        const note = {
          id: runtime.id('note'),
          tenantId,
          createdAt: runtime.clock.now(),
          secret: 'never shown',
          text: body.text,
        }
        notes.push(note)
        return note
      },
    }),
    route({
      id: 'notes.list',
      method: 'GET',
      path: '/notes',
      summary: 'List notes',
      can: ['read', 'notes'],
      query: PageQuery,
      response: pageOf(Note),
      handler: async ({ query }, { tenantId }) =>
        paginate(
          query,
          ['string'],
          async ({ limit, after }) =>
            notes.filter((note) => note.tenantId === tenantId && (!after || note.id > after[0])).slice(0, limit),
          (note) => [note.id],
        ),
    }),
    route({
      id: 'notes.delete',
      method: 'DELETE',
      path: '/notes/:id',
      summary: 'Delete a note',
      can: ['delete', 'notes'],
      params: z.strictObject({ id: z.string() }),
      async handler({ params }, { tenantId }) {
        const index = notes.findIndex((note) => note.id === params.id && note.tenantId === tenantId)
        if (index < 0) throw coreErrors.not_found()
        notes.splice(index, 1)
      },
    }),
    route({
      id: 'notes.me',
      method: 'GET',
      path: '/me',
      summary: 'Who am I',
      can: 'authenticated',
      response: z.object({ id: z.string(), ip: z.string(), userAgent: z.string(), requestId: z.string() }),
      handler: async (_, { actor, ip, userAgent, requestId }) => ({
        id: actor.id,
        ip: ip ?? '',
        userAgent: userAgent ?? '',
        requestId: requestId ?? '',
      }),
    }),
    route({
      id: 'notes.hook',
      method: 'POST',
      path: '/hook',
      summary: 'Take raw bytes',
      can: 'public',
      body: rawBody,
      response: z.object({ bytes: z.string() }),
      handler: async ({ body }) => ({ bytes: body.toString() }),
    }),
    route({
      id: 'notes.crash',
      method: 'GET',
      path: '/crash',
      summary: 'Fail',
      can: 'authenticated',
      handler: async () => {
        throw new Error('connection string postgres://user:password@db')
      },
    }),
    route({
      id: 'notes.lie',
      method: 'GET',
      path: '/lie',
      summary: 'Answer what was not declared',
      can: 'authenticated',
      response: z.object({ count: z.number() }),
      handler: async () => ({ count: 'many' as unknown as number }),
    }),
  ]
  return {
    name: 'notes',
    notes,
    database,
    routes,
    runtime,
    storage,
  }
}
