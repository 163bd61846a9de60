/** What `createBilling` says of its options. */
import { createBilling, memoryStorage } from '@org/billing'
import { recordingLogger } from '@org/core/testing'
import { expect, it } from 'vitest'
import { catalog } from './kit.js'

it('says once that memory forgets, and nothing when it was asked for', () => {
  const logger = recordingLogger()
  createBilling({ catalog, logger, storage: memoryStorage() })
  expect(logger.entries).toEqual([])
  createBilling({ catalog, logger })
  const message = expect.stringMatching(/@org\/billing keeps everything in memory.*knexStorage/)
  expect(logger.entries).toEqual([{ level: 'warn', message, fields: {} }])
})

it('takes a grace period in milliseconds, and nothing that is none', () => {
  const create = (gracePeriodMs: unknown) =>
    createBilling({ catalog, storage: memoryStorage(), gracePeriodMs: gracePeriodMs as number })
  expect(() => create(0)).not.toThrow()
  for (const wrong of [Number.NaN, -1, Number.POSITIVE_INFINITY, '21 days']) {
    expect(() => create(wrong)).toThrow(expect.objectContaining({ code: 'setup_error' }))
  }
})
