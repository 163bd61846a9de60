import {
  type Actor,
  checkId,
  checkScope,
  coreErrors,
  type Page,
  paginate,
  parse,
  type Scope,
  systemActor,
  type Tx,
} from '@org/core'
import type { Deps } from '../deps.js'
import { rbacErrors } from '../errors.js'
import type { RbacStores } from '../storage/port.js'
import {
  type ApiKey,
  CreateKey,
  KeyQuery,
  type KeySecret,
  type KeyWithSecret,
  keyOf,
  type RateLimit,
  RotateKey,
  type StoredKey,
  UpdateKey,
} from './schema.js'
import { isWithinScopes } from './scopes.js'
import { createSecret } from './secret.js'
import type { KeyWriter } from './writer.js'

/** Keys as their team manages them; `P` are the permissions that their scopes can name. */
export interface KeyManagement<P extends string = string> {
  /**
   * Makes a key, and answers its secret, which is never shown again. Its scopes are the most that it may do; at each
   * check it may do no more than its maker at that moment. The host's own code makes keys without a maker, with the
   * scopes as they are. Emits `key.created`.
   *
   * @throws ProblemError `invalid_input` for no scopes, unknown ones, an end that has passed, or an address that is none;
   *   `exceeds_own_rights` with `missing` for scopes that the actor does not hold; `forbidden` if the actor is a key.
   */
  create(scope: Scope, input: CreateKey<P>): Promise<KeyWithSecret>
  /** The newest first, also those that have ended. @throws ProblemError `invalid_input`. */
  list(scope: Scope, query?: KeyQuery): Promise<Page<ApiKey>>
  /** @throws ProblemError `not_found`. */
  get(scope: Scope, id: string): Promise<ApiKey>
  /**
   * Changes what is given, if anything is. Whatever makes it reach further (more scopes, a later end, more addresses, a
   * higher limit) needs all of its scopes, and a member. Emits `key.updated`.
   *
   * @throws ProblemError `not_found`; `key_revoked`; `invalid_input`, `exceeds_own_rights` and `forbidden` as `create`.
   */
  update(scope: Scope, id: string, input: UpdateKey<P>): Promise<ApiKey>
  /**
   * Makes a new secret, which is never shown again; the old one works until the overlap ends. Maker and scopes stay.
   * Emits `key.rotated`.
   *
   * @throws ProblemError `not_found`; `key_revoked`; `exceeds_own_rights` if the key can do more than the actor.
   */
  rotate(scope: Scope, id: string, input?: RotateKey): Promise<KeyWithSecret>
  /**
   * Ends a key, with every secret that it has, for good. Does nothing if it is revoked already. Whoever may delete keys
   * may revoke any. Emits `key.revoked`.
   *
   * @throws ProblemError `not_found`.
   */
  revoke(scope: Scope, id: string): Promise<ApiKey>
}

/** How many secrets of a key work at the same time, at most. */
const maxSecrets = 10

export function createKeys(deps: Deps, writer: KeyWriter, prefix: string): KeyManagement {
  const { storage, runtime, catalog, emit, change } = deps
  const { clock } = runtime

  function knownScopes(scopes: readonly string[]): string[] {
    const errors = scopes.flatMap((scope, i) => {
      const detail = catalog.whatIsWrong(scope)
      return detail === null ? [] : [{ pointer: `/scopes/${i}`, detail }]
    })
    if (errors.length > 0) throw coreErrors.invalid_input({ errors })
    // `*:*` says the same as `*`, which is what everything else looks for.
    return [...new Set(scopes.map((scope) => (scope === '*:*' ? '*' : scope)))]
  }

  function checkEnd(expiresAt: number | null | undefined): void {
    if (expiresAt === null || expiresAt === undefined || expiresAt > clock.now()) return
    throw coreErrors.invalid_input({ errors: [{ pointer: '/expiresAt', detail: 'must be in the future' }] })
  }

  /** Locks a key and hands it to `work`. */
  function changeKey<Answer>(
    scope: Scope,
    id: string,
    work: (key: StoredKey, stores: RbacStores, tx: Tx) => Promise<Answer>,
  ): Promise<Answer> {
    const { tenantId } = checkScope(scope)
    checkId(id)
    return change(scope, async (stores, tx) => {
      const key = await stores.keys.find(tenantId, id, { lock: true })
      if (!key) throw coreErrors.not_found()
      return work(key, stores, tx)
    })
  }

  function requireUnrevoked({ name, revokedAt }: StoredKey): void {
    if (revokedAt !== null) throw rbacErrors.key_revoked({ detail: `"${name}" is revoked for good; make a new key.` })
  }

  return {
    async create(scope, input) {
      const { tenantId, actor = systemActor } = checkScope(scope)
      const parsed = parse(CreateKey, input)
      const scopes = knownScopes(parsed.scopes)
      checkEnd(parsed.expiresAt)
      refuseKeys(actor, 'create', 'A key does not make keys; a member does.')
      return change(scope, async (stores, tx) => {
        await writer.requireScopes(scope, stores, scopes)
        const { secret, start, hash } = createSecret(runtime.random, prefix)
        const key: StoredKey = {
          ...parsed,
          ...{ id: runtime.id('key'), tenantId, scopes, start },
          userId: actor.type === 'user' ? actor.id : null,
          ...{ lastUsedAt: null, revokedAt: null, createdAt: clock.now() },
        }
        await stores.keys.insert(key)
        await stores.keys.setSecrets(key.id, [{ hash, keyId: key.id, expiresAt: null }])
        await emit(scope, { type: 'key.created', ...writer.about(key), after: writer.view(key) }, tx)
        return { key: keyOf(key, clock.now()), secret }
      })
    },

    async list(scope, query = {}) {
      const { tenantId, tx } = checkScope(scope)
      const { userId, ...page } = parse(KeyQuery, query)
      const found = await paginate(
        page,
        ['string'],
        (slice) => storage.read(({ keys }) => keys.list(tenantId, { userId }, slice), tx),
        (last) => [last.id],
      )
      return { ...found, data: found.data.map((key) => keyOf(key, clock.now())) }
    },

    async get(scope, id) {
      const { tenantId, tx } = checkScope(scope)
      checkId(id)
      const key = await storage.read(({ keys }) => keys.find(tenantId, id), tx)
      if (!key) throw coreErrors.not_found()
      return keyOf(key, clock.now())
    },

    async update(scope, id, input) {
      const { actor = systemActor } = checkScope(scope)
      const { scopes, ...parsed } = parse(UpdateKey, input)
      const patch: Partial<StoredKey> = given({ ...parsed, scopes: scopes && knownScopes(scopes) })
      checkEnd(parsed.expiresAt)
      return changeKey(scope, id, async (before, stores, tx) => {
        requireUnrevoked(before)
        if (Object.keys(patch).length === 0) return keyOf(before, clock.now())
        const after: StoredKey = { ...before, ...patch }
        if (reachesFurther(before, after)) {
          // A key that was stolen must not outlive its end, or leave the addresses that it is bound to.
          refuseKeys(actor, 'update', 'A key does not let keys reach further; a member does.')
          await writer.requireReach(scope, stores, after)
        }
        await stores.keys.update(id, patch)
        const seen = { before: writer.view(before), after: writer.view(after) }
        await emit(scope, { type: 'key.updated', ...writer.about(after), ...seen }, tx)
        return keyOf(after, clock.now())
      })
    },

    async rotate(scope, id, input) {
      checkScope(scope)
      const { overlapMs } = parse(RotateKey, input)
      return changeKey(scope, id, async (before, stores, tx) => {
        requireUnrevoked(before)
        await writer.requireReach(scope, stores, before)
        const { secret, start, hash } = createSecret(runtime.random, prefix)
        const old = overlapping(await stores.keys.secretsOf(id), clock.now(), overlapMs)
        await stores.keys.setSecrets(id, [{ hash, keyId: id, expiresAt: null }, ...old])
        await stores.keys.update(id, { start })
        const after: StoredKey = { ...before, start }
        const seen = { before: writer.view(before), after: writer.view(after) }
        await emit(scope, { type: 'key.rotated', ...writer.about(after), ...seen }, tx)
        return { key: keyOf(after, clock.now()), secret }
      })
    },

    revoke: (scope, id) =>
      changeKey(scope, id, async (key, stores, tx) => {
        const revoked = key.revokedAt === null ? await writer.revoke(scope, stores, tx, key, 'revoked') : key
        return keyOf(revoked, clock.now())
      }),
  }
}

/** The secrets that go on working for a while; no overlap ends later than it was to. */
function overlapping(secrets: readonly KeySecret[], now: number, overlapMs: number): KeySecret[] {
  return secrets
    .map((secret) => ({
      ...secret,
      expiresAt: Math.min(secret.expiresAt ?? Number.POSITIVE_INFINITY, now + overlapMs),
    }))
    .filter(({ expiresAt }) => expiresAt > now)
    .sort((a, b) => b.expiresAt - a.expiresAt)
    .slice(0, maxSecrets - 1)
}

function refuseKeys(actor: Actor, action: string, detail: string): void {
  if (actor.type === 'key') throw coreErrors.forbidden({ detail, extensions: { action, resource: 'keys' } })
}

/** Whether a change lets a key do more, for longer, more often or from more places. */
function reachesFurther(before: StoredKey, after: StoredKey): boolean {
  return (
    after.scopes.some((scope) => !isWithinScopes(scope, before.scopes)) ||
    (after.expiresAt ?? Number.POSITIVE_INFINITY) > (before.expiresAt ?? Number.POSITIVE_INFINITY) ||
    isMoreOften(before.rateLimit, after.rateLimit) ||
    isFromMore(before.allowedIps, after.allowedIps)
  )
}

function isMoreOften(before: RateLimit | null, after: RateLimit | null): boolean {
  if (!before || !after) return before !== null && after === null
  return after.limit > before.limit || after.windowMs < before.windowMs
}

function isFromMore(before: readonly string[] | null, after: readonly string[] | null): boolean {
  if (!before || !after) return before !== null && after === null
  return after.some((range) => !before.includes(range))
}

function given<T extends object>(patch: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(patch).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>
  }
}
