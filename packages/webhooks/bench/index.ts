import { type TestDatabase, testDatabases } from '@org/core/testing'
import type { Comparison, Experiment } from '../../core/bench/harness.js'
import { backlog } from './backlog.js'
import { delivery } from './delivery.js'
import { idle } from './idle.js'
import { neighbor } from './neighbor.js'
import { processes } from './processes.js'
import { publishing } from './publishing.js'
import { requestTelling } from './request-events.js'

const databases = (await testDatabases()).filter(({ missing }) => !missing)

const on = (names: readonly TestDatabase['name'][], make: (target: TestDatabase) => Experiment) =>
  databases.filter(({ name }) => names.includes(name)).map(make)

export const comparisons: (Comparison | Experiment)[] = [
  ...databases.map(delivery),
  ...publishing,
  ...requestTelling,
  idle(databases),
  ...on(['sqlite', 'postgres'], backlog),
  ...on(['postgres'], neighbor),
  ...on(['postgres'], processes),
]
