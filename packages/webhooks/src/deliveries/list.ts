/** Reading the log a page at a time, at a bounded cost whatever is asked for. */
import {
  checkScope,
  decodeCursor,
  encodeCursor,
  idTime,
  lowestId,
  type Page,
  type PageQuery,
  type Runtime,
  type Scope,
} from '@org/core'
import type { Deps } from '../deps.js'
import { publicPart } from './change.js'
import type { Delivery, DeliveryFilter } from './schema.js'

/** How many rows a page looks at to fill itself with rare ones. */
const rowsPerPage = 10_000

/** How far the time that an id tells may be from when its row was made: somebody may have set a clock back. */
const slackMs = 60_000

/**
 * The newest first. Where no index finds what is asked for, it looks at so many rows and no more: a page then has fewer
 * than its limit, or none, and a `next` that goes on from there.
 */
export async function listDeliveries(
  { storage, runtime }: Pick<Deps, 'storage' | 'runtime'>,
  scope: Scope,
  { limit = 50, cursor, ...filter }: PageQuery & DeliveryFilter,
): Promise<Page<Delivery>> {
  const { tenantId, tx } = checkScope(scope)
  const made = madeWithin(filter, runtime)
  const [reached] = cursor === undefined ? [] : (decodeCursor(cursor, ['string']) as [string])
  const after = reached ?? made.before
  const slice = { after: after === null ? null : ([after] as [string]), from: made.from }
  return storage.read(async ({ deliveries }) => {
    const floor = await deliveries.lookDownTo(tenantId, filter, { ...slice, limit: rowsPerPage })
    const found = await deliveries.list(tenantId, filter, { ...slice, from: floor ?? slice.from, limit: limit + 1 })
    const page = found.slice(0, limit)
    const last = found.length > limit ? (page.at(-1)?.id ?? null) : floor
    return { data: page.map(publicPart), next: last === null ? null : encodeCursor([last]) }
  }, tx)
}

/** The range of the ids of what was made in a time, if the host's ids tell times as ours do. */
function madeWithin(
  { since, until }: Pick<DeliveryFilter, 'since' | 'until'>,
  { id, clock }: Pick<Runtime, 'id' | 'clock'>,
): { from: string | null; before: string | null } {
  if (since === undefined && until === undefined) return { from: null, before: null }
  const told = idTime(id('del'))
  if (told === null || Math.abs(told - clock.now()) > slackMs) return { from: null, before: null }
  return {
    from: since === undefined ? null : lowestId('del', since - slackMs),
    before: until === undefined ? null : lowestId('del', until + slackMs),
  }
}
