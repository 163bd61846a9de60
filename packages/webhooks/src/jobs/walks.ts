import type { Deps } from '../deps.js'
import { createReleaseWalk } from './release.js'
import { createReplayWalk } from './replay.js'
import type { JobKind } from './schema.js'
import { createSetAsideWalk } from './set-aside.js'
import type { Walk } from './walk.js'

/** What each kind of job walks over. */
export function createWalks(
  deps: Pick<Deps, 'runtime' | 'filters' | 'schedule' | 'maxBodyBytes'>,
): Record<JobKind, Walk> {
  const setAside = createSetAsideWalk(deps)
  return { recover: setAside, redrive: setAside, replay: createReplayWalk(deps), release: createReleaseWalk(deps) }
}
