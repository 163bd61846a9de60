/** Who receives: registration, subscription, secrets, and whether it is on. */
import { checkId, checkScope, coreErrors, type Page, PageQuery, paginate, parse, type Scope, type Tx } from '@org/core'
import type { Deps } from '../deps.js'
import { webhooksErrors } from '../errors.js'
import type { WebhooksStores } from '../storage/port.js'
import { enableEndpoint } from './enabling.js'
import { about, type EndpointEvent, publicPart, saveEndpoint } from './save.js'
import {
  CreateEndpoint,
  type Endpoint,
  EndpointView,
  type EndpointWithSecret,
  RotateSecret,
  type SendTest,
  type StoredEndpoint,
  type TestSent,
  UpdateEndpoint,
} from './schema.js'
import { mergeHeaders, mintSecret, rotated, signingOf, vaultContext } from './secrets.js'
import { createSendTest } from './send-test.js'
import { checkEndpointUrl } from './url.js'

/** What `webhooks.endpoints` has. */
export interface Endpoints {
  /**
   * Registers a receiver and answers its signing secret, which is never shown again.
   *
   * @throws ProblemError `invalid_input` for a URL that may not be reached, or an unknown event type.
   */
  create(scope: Scope, input: CreateEndpoint): Promise<EndpointWithSecret>
  /** The newest first. */
  list(scope: Scope, query?: PageQuery): Promise<Page<Endpoint>>
  /** @throws ProblemError `not_found`. */
  get(scope: Scope, id: string): Promise<Endpoint>
  /** @throws ProblemError `not_found`, or `invalid_input` as `create` does. */
  update(scope: Scope, id: string, input: UpdateEndpoint): Promise<Endpoint>
  /** Its pending and held deliveries are canceled; the log stays. @throws ProblemError `not_found`. */
  delete(scope: Scope, id: string): Promise<void>
  /**
   * Sends what was held while it was disabled: 500 in this transaction, and what is more by a worker, as a job of the kind
   * `release`. Changes nothing if it is enabled.
   *
   * @throws ProblemError `not_found`; `endpoint_unverified` if it has yet to answer a challenge.
   */
  enable(scope: Scope, id: string): Promise<Endpoint>
  /**
   * Stops sending. What is published meanwhile is held and sent when the endpoint is enabled again. Changes nothing if
   * it is disabled, but that one which has yet to answer a challenge stays disabled when it has. @throws ProblemError `not_found`.
   */
  disable(scope: Scope, id: string): Promise<Endpoint>
  /**
   * Makes a new secret, which is never shown again. The old ones go on signing next to it until their overlap ends.
   *
   * @throws ProblemError `not_found`.
   */
  rotateSecret(scope: Scope, id: string, input?: RotateSecret): Promise<EndpointWithSecret>
  /**
   * Publishes a message to this endpoint, whatever it subscribes to, on the same path as any other: signed, retried and
   * logged. Without a type it is a `webhook.test`; with one, the type's example unless `data` is given.
   *
   * @throws ProblemError `not_found`; `endpoint_disabled`; `invalid_input` for an unknown type or data not fitting it.
   */
  sendTest(scope: Scope, id: string, input?: SendTest): Promise<TestSent>
}

export function createEndpoints(deps: Deps): Endpoints {
  const { storage, runtime, emit, eventTypes, guard, vault, wake } = deps
  const { clock, random, id: makeId } = runtime
  type Save = (types: EndpointEvent | readonly EndpointEvent[], patch: Partial<StoredEndpoint>) => Promise<Endpoint>

  /** Locks the endpoint and hands `work` what changes it. */
  async function change<Answer>(
    scope: Scope,
    id: string,
    work: (found: StoredEndpoint, save: Save, stores: WebhooksStores, tx: Tx) => Promise<Answer>,
  ): Promise<Answer> {
    return storage.run(async (stores, tx) => {
      const found = await stores.endpoints.lock(scope.tenantId, id)
      if (!found) throw coreErrors.not_found()
      const save: Save = (types, patch) => saveEndpoint(deps, scope, types, found, patch, stores, tx)
      return work(found, save, stores, tx)
    }, scope.tx)
  }

  function sealExtra(extra: StoredEndpoint['extraSignature'], owner: Pick<StoredEndpoint, 'id' | 'tenantId'>) {
    return extra && { ...extra, secret: vault.seal(extra.secret, vaultContext(owner)) }
  }

  return {
    async create(scope, input) {
      const { tenantId } = checkScope(scope)
      const parsed = parse(CreateEndpoint, input)
      const url = checkEndpointUrl(parsed.url, guard)
      eventTypes.checkPatterns(parsed.eventTypes)
      const { headers, signing, secret, extraSignature, ...settings } = parsed
      const owner = { id: makeId('ep'), tenantId }
      const { stored, shown } = mintSecret({ signing, secret }, owner, { vault, random })
      const now = clock.now()
      const endpoint: StoredEndpoint = {
        ...settings,
        ...owner,
        url,
        headers: mergeHeaders({}, headers, owner, vault),
        enabled: !deps.challenge,
        disabledReason: deps.challenge ? 'unverified' : null,
        unverified: deps.challenge,
        secrets: [stored],
        extraSignature: sealExtra(extraSignature, owner),
        createdAt: now,
        updatedAt: now,
      }
      const after = publicPart(endpoint)
      await storage.run(async ({ endpoints }, tx) => {
        await endpoints.insert(endpoint)
        await emit(scope, { type: 'endpoint.created', ...about(after), after: EndpointView.parse(after) }, tx)
      }, scope.tx)
      return { ...after, secret: shown }
    },

    async list(scope, query = {}) {
      const { tenantId, tx } = checkScope(scope)
      const page = await paginate(
        parse(PageQuery, query),
        ['string'],
        (slice) => storage.read(({ endpoints }) => endpoints.list(tenantId, slice), tx),
        (row) => [row.id],
      )
      return { ...page, data: page.data.map(publicPart) }
    },

    async get(scope, id) {
      const { tenantId, tx } = checkScope(scope)
      checkId(id)
      const found = await storage.read(({ endpoints }) => endpoints.get(tenantId, id), tx)
      if (!found) throw coreErrors.not_found()
      return publicPart(found)
    },

    async update(scope, id, input) {
      checkScope(scope)
      checkId(id)
      const { url, headers, extraSignature, ...parsed } = parse(UpdateEndpoint, input)
      eventTypes.checkPatterns(parsed.eventTypes ?? null)
      const patch: Partial<StoredEndpoint> = defined(parsed)
      if (url !== undefined) patch.url = checkEndpointUrl(url, guard)
      return change(scope, id, async (found, save, { deliveries }) => {
        if (found.ordering === null && (patch.ordering ?? null) !== null) await deliveries.standBeside(id)
        const isMoved = deps.challenge && patch.url !== undefined && patch.url !== found.url
        if (isMoved) Object.assign(patch, movedAway(found))
        if (headers !== undefined) patch.headers = mergeHeaders(found.headers, headers, found, vault)
        if (extraSignature !== undefined) patch.extraSignature = sealExtra(extraSignature, found)
        return save(isMoved && found.enabled ? ['endpoint.updated', 'endpoint.disabled'] : 'endpoint.updated', patch)
      })
    },

    async delete(scope, id) {
      checkScope(scope)
      checkId(id)
      await change(scope, id, async (found, _, { endpoints, deliveries }, tx) => {
        await endpoints.remove(id)
        await deliveries.cancelAll(id, clock.now())
        const before = publicPart(found)
        await emit(scope, { type: 'endpoint.deleted', ...about(before), before: EndpointView.parse(before) }, tx)
      })
    },

    async enable(scope, id) {
      checkScope(scope)
      checkId(id)
      const endpoint = await change(scope, id, async (found, _, stores, tx) => {
        if (found.enabled) return publicPart(found)
        if (found.unverified) {
          throw webhooksErrors.endpoint_unverified({ detail: 'Verify it first: it must answer a challenge.' })
        }
        return enableEndpoint(deps, scope, found, stores, tx)
      })
      wake([id])
      return endpoint
    },

    async disable(scope, id) {
      checkScope(scope)
      checkId(id)
      return change(scope, id, async (found, save) => {
        if (!found.enabled && found.disabledReason !== 'unverified') return publicPart(found)
        return save('endpoint.disabled', { enabled: false, disabledReason: 'manual' })
      })
    },

    async rotateSecret(scope, id, input) {
      checkScope(scope)
      checkId(id)
      const { overlapSeconds, ...wanted } = parse(RotateSecret, input)
      return change(scope, id, async (found, save) => {
        const signing = wanted.signing ?? signingOf(found)
        const { stored, shown } = mintSecret({ signing, secret: wanted.secret }, found, { vault, random })
        const secrets = rotated(found.secrets, stored, clock.now(), overlapSeconds * 1000)
        return { ...(await save('endpoint.secret_rotated', { secrets })), secret: shown }
      })
    },

    sendTest: createSendTest(deps),
  }
}

/** What a URL that has yet to answer its challenge makes of an endpoint. What somebody disabled stays so by their word. */
function movedAway({ disabledReason }: StoredEndpoint): Partial<StoredEndpoint> {
  return {
    enabled: false,
    disabledReason: disabledReason === 'manual' ? 'manual' : 'unverified',
    unverified: true,
  }
}

function defined<T extends object>(value: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, field]) => field !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>
  }
}
