/** Who receives: registration, subscription, secrets, and whether it is on. */
import {
  checkScope,
  coreErrors,
  type Emit,
  type Page,
  PageQuery,
  paginate,
  parse,
  type Runtime,
  type Scope,
  systemActor,
  type Tx,
} from '@org/core'
import type { AddressGuard } from '../delivery/address-guard.js'
import { createSecret } from '../delivery/sign.js'
import type { EventTypesService } from '../event-types/service.js'
import type { webhooksEvents } from '../events.js'
import type { WebhooksStorage, WebhooksStores } from '../storage/port.js'
import {
  CreateEndpoint,
  Endpoint,
  EndpointView,
  type EndpointWithSecret,
  RotateSecret,
  type SigningSecret,
  type StoredEndpoint,
  UpdateEndpoint,
} from './schema.js'
import { checkEndpointUrl } from './url.js'

export interface EndpointsOptions {
  storage: WebhooksStorage
  runtime: Runtime
  emit: Emit<typeof webhooksEvents>
  eventTypes: EventTypesService
  guard: AddressGuard
  /** Called after held deliveries were released. */
  wake: () => void
}

/** How many secrets sign at the same time, at most. */
const maxSecrets = 10

/** An endpoint that had something to hold. */
export interface HeldEndpoint {
  tenantId: string
  /** The URL that answered 410, if one did. */
  gone: string | null
}

export type EndpointsService = ReturnType<typeof createEndpointsService>

export function createEndpointsService({ storage, runtime, emit, eventTypes, guard, wake }: EndpointsOptions) {
  const { clock, random, id: makeId } = runtime

  /** Locks the endpoint, changes it, and says so in the same transaction. */
  async function change<Answer>(
    scope: Scope,
    id: string,
    work: (found: StoredEndpoint, stores: WebhooksStores, tx: Tx) => Promise<Answer>,
  ): Promise<Answer> {
    const { tenantId } = checkScope(scope)
    return storage.run(async (stores, tx) => {
      const found = await stores.endpoints.lock(tenantId, id)
      if (!found) throw coreErrors.not_found()
      return work(found, stores, tx)
    }, scope.tx)
  }

  async function save(
    scope: Scope,
    type: keyof typeof webhooksEvents & `endpoint.${string}`,
    found: StoredEndpoint,
    patch: Partial<StoredEndpoint>,
    { endpoints }: WebhooksStores,
    tx: Tx,
  ): Promise<Endpoint> {
    const stamped = { ...patch, updatedAt: clock.now() }
    await endpoints.update(found.id, stamped)
    const after = publicPart({ ...found, ...stamped })
    const seen = { before: EndpointView.parse(found), after: EndpointView.parse(after) }
    await emit(scope, { type, resource: resourceOf(found.id), data: dataOf(after), ...seen }, tx)
    return after
  }

  return {
    /**
     * Registers a receiver and answers its signing secret, which is never shown again.
     *
     * @throws ProblemError `invalid_input` for a URL that may not be reached, or an unknown event type.
     */
    async create(scope: Scope, input: CreateEndpoint): Promise<EndpointWithSecret> {
      const { tenantId } = checkScope(scope)
      const parsed = parse(CreateEndpoint, input)
      const url = checkEndpointUrl(parsed.url, guard)
      eventTypes.checkPatterns(parsed.eventTypes)
      const secret = createSecret(random)
      const now = clock.now()
      const endpoint: StoredEndpoint = {
        ...parsed,
        id: makeId('ep'),
        tenantId,
        url,
        enabled: true,
        disabledReason: null,
        secrets: [{ value: secret, expiresAt: null }],
        createdAt: now,
        updatedAt: now,
      }
      await storage.run(async ({ endpoints }, tx) => {
        await endpoints.insert(endpoint)
        const after = EndpointView.parse(endpoint)
        const resource = resourceOf(endpoint.id)
        await emit(scope, { type: 'endpoint.created', resource, data: dataOf(endpoint), after }, tx)
      }, scope.tx)
      return { ...publicPart(endpoint), secret }
    },

    /** The newest first. */
    async list(scope: Scope, query: PageQuery = {}): Promise<Page<Endpoint>> {
      const { tenantId, tx } = checkScope(scope)
      const page = await paginate(
        parse(PageQuery, query),
        ['string'],
        (slice) => storage.read(({ endpoints }) => endpoints.list(tenantId, slice), tx),
        (row) => [row.id],
      )
      return { ...page, data: page.data.map(publicPart) }
    },

    /** @throws ProblemError `not_found`. */
    async get(scope: Scope, id: string): Promise<Endpoint> {
      const { tenantId, tx } = checkScope(scope)
      const found = await storage.read(({ endpoints }) => endpoints.get(tenantId, id), tx)
      if (!found) throw coreErrors.not_found()
      return publicPart(found)
    },

    /** @throws ProblemError `not_found`, or `invalid_input` as `create` does. */
    async update(scope: Scope, id: string, input: UpdateEndpoint): Promise<Endpoint> {
      const { url, ...parsed } = parse(UpdateEndpoint, input)
      eventTypes.checkPatterns(parsed.eventTypes ?? null)
      const patch: Partial<StoredEndpoint> = defined(parsed)
      if (url !== undefined) patch.url = checkEndpointUrl(url, guard)
      return change(scope, id, (found, stores, tx) => save(scope, 'endpoint.updated', found, patch, stores, tx))
    },

    /** Its pending and held deliveries are canceled; the log stays. @throws ProblemError `not_found`. */
    async delete(scope: Scope, id: string): Promise<void> {
      await change(scope, id, async (found, { endpoints, deliveries }, tx) => {
        await endpoints.remove(id)
        await deliveries.cancelAll(id, clock.now())
        const before = EndpointView.parse(found)
        const resource = resourceOf(id)
        await emit(scope, { type: 'endpoint.deleted', resource, data: dataOf(found), before }, tx)
      })
    },

    /** Sends what was held while it was disabled. Changes nothing if it is enabled. @throws ProblemError `not_found`. */
    async enable(scope: Scope, id: string): Promise<Endpoint> {
      const endpoint = await change(scope, id, async (found, stores, tx) => {
        if (found.enabled) return publicPart(found)
        await stores.deliveries.releaseHeld(id, clock.now())
        const patch = { enabled: true, disabledReason: null }
        return save(scope, 'endpoint.enabled', found, patch, stores, tx)
      })
      wake()
      return endpoint
    },

    /**
     * Stops sending. What is published meanwhile is held and sent when the endpoint is enabled again. Changes nothing
     * if it is disabled. @throws ProblemError `not_found`.
     */
    async disable(scope: Scope, id: string): Promise<Endpoint> {
      return change(scope, id, async (found, stores, tx) => {
        if (!found.enabled) return publicPart(found)
        const patch = { enabled: false, disabledReason: 'manual' } as const
        return save(scope, 'endpoint.disabled', found, patch, stores, tx)
      })
    },

    /**
     * Makes a new secret, which is never shown again. The old ones go on signing next to it until their overlap ends.
     *
     * @throws ProblemError `not_found`.
     */
    async rotateSecret(scope: Scope, id: string, input?: RotateSecret): Promise<EndpointWithSecret> {
      const { overlapSeconds } = parse(RotateSecret, input)
      const secret = createSecret(random)
      const endpoint = await change(scope, id, async (found, stores, tx) => {
        const secrets = rotated(found.secrets, secret, clock.now(), overlapSeconds * 1000)
        return save(scope, 'endpoint.secret_rotated', found, { secrets }, stores, tx)
      })
      return { ...endpoint, secret }
    },

    /**
     * For the engine, within its transaction: locks the endpoints that had something to hold, disables those that
     * answered 410, and answers which of them are disabled.
     */
    async settleDisabled(
      stores: WebhooksStores,
      held: ReadonlyMap<string, HeldEndpoint>,
      tx: Tx,
    ): Promise<ReadonlySet<string>> {
      const disabled = new Set<string>()
      for (const [id, { tenantId, gone }] of [...held].sort(([a], [b]) => (a < b ? -1 : 1))) {
        const found = await stores.endpoints.lock(tenantId, id)
        // Somebody may have put another URL in the place of the one that is gone.
        if (!found || (found.enabled && found.url !== gone)) continue
        disabled.add(id)
        if (!found.enabled) continue
        const patch = { enabled: false, disabledReason: 'gone' } as const
        await save({ tenantId, actor: systemActor }, 'endpoint.disabled', found, patch, stores, tx)
      }
      return disabled
    },
  }
}

function publicPart(endpoint: StoredEndpoint): Endpoint {
  return Endpoint.parse(endpoint)
}

function resourceOf(id: string) {
  return { type: 'endpoint', id }
}

function dataOf({ id, url, enabled, disabledReason }: Endpoint) {
  return { endpointId: id, url, enabled, disabledReason }
}

function rotated(old: SigningSecret[], value: string, now: number, overlap: number): SigningSecret[] {
  const overlapping = old
    .map((secret) => ({ ...secret, expiresAt: Math.min(secret.expiresAt ?? Number.POSITIVE_INFINITY, now + overlap) }))
    .filter(({ expiresAt }) => expiresAt > now)
  return [{ value, expiresAt: null }, ...overlapping].slice(0, maxSecrets)
}

function defined<T extends object>(value: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, field]) => field !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>
  }
}
