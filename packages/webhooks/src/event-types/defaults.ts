import { z } from 'zod'
import { defineEventTypes } from './catalog.js'

const request = {
  requestId: z.string().optional(),
  method: z.string().optional(),
  path: z.string().optional(),
  keyId: z.string().nullish(),
}
const answered = { ...request, status: z.int().optional(), durationMs: z.number().nonnegative().optional() }
const key = { keyId: z.string().min(1), name: z.string().nullish() }
const count = z.number().nullish()

/**
 * The event types of an API product. Their schemas name the fields that every publisher agrees on and let further
 * ones through, so that domain events of `@org/rbac` and `@org/billing` fit as they are.
 */
export const defaultEventTypes = defineEventTypes({
  'request.created': z.looseObject(request).meta({
    description: 'A request was accepted.',
    examples: [{ requestId: 'req_1', method: 'POST', path: '/v1/translate', keyId: 'key_1' }],
  }),
  'request.completed': z.looseObject(answered).meta({
    description: 'A request was answered.',
    examples: [{ requestId: 'req_1', method: 'POST', path: '/v1/translate', status: 200, durationMs: 87 }],
  }),
  'request.failed': z.looseObject({ ...answered, error: z.string().optional() }).meta({
    description: 'A request could not be answered.',
    examples: [{ requestId: 'req_2', method: 'POST', path: '/v1/translate', status: 502, error: 'upstream_timeout' }],
  }),
  'key.created': z.looseObject(key).meta({
    description: 'An API key was created.',
    examples: [{ keyId: 'key_1', name: 'Production' }],
  }),
  'key.revoked': z.looseObject({ ...key, reason: z.string().nullish() }).meta({
    description: 'An API key was revoked.',
    examples: [{ keyId: 'key_1', name: 'Production', reason: 'rotated' }],
  }),
  'quota.exceeded': z.looseObject({ meter: z.string().optional(), limit: count, used: count }).meta({
    description: 'A tenant reached the quota of its plan.',
    examples: [{ meter: 'requests', limit: 10_000, used: 10_000, resetsAt: '2026-02-01T00:00:00.000Z' }],
  }),
  'rate_limit.exceeded': z.looseObject({ keyId: z.string().nullish(), limit: count, retryAfter: count }).meta({
    description: 'A caller was slowed down.',
    examples: [{ keyId: 'key_1', limit: 100, retryAfter: 12 }],
  }),
  'alert.triggered': z.looseObject({ meter: z.string().optional(), threshold: count, limit: count, used: count }).meta({
    description: 'Usage passed a threshold that somebody asked to be told of.',
    examples: [{ meter: 'requests', threshold: 0.8, limit: 10_000, used: 8_000 }],
  }),
})
