import { createHash } from 'node:crypto'
import { checkScope, coreErrors, type Page, paginate, parse, type Scope, systemActor } from '@org/core'
import canonicalize from 'canonicalize'
import type { Deps } from '../deps.js'
import { RoleView } from '../roles/schema.js'
import type { RbacStores } from '../storage/port.js'
import { documentOf, type ReadDocument, readDocument, saysTheSame } from './document.js'
import { diffMembers } from './members-diff.js'
import type { NextPolicy, Publish, Published } from './publish.js'
import { runTests } from './run-tests.js'
import {
  DiffPolicies,
  type Policy,
  type PolicyDiff,
  type PolicyDocument,
  type PolicyDraft,
  PolicyQuery,
  type PolicySummary,
  type PolicyTestReport,
  type PolicyVersion,
  PublishPolicy,
  RollbackPolicy,
  SaveDraft,
  WhichPolicy,
} from './schema.js'
import { type PolicyState, type PolicyStates, stale } from './state.js'
import { diffTexts } from './text-diff.js'

/** A draft, and whether it can still be published. */
export interface DraftState extends PolicyDraft {
  stale: boolean
}

export interface Policies {
  /**
   * Saves the tenant's draft of its next policy; there is one, whoever writes it. Emits `policy.drafted`.
   *
   * @throws ProblemError `invalid_input` with a pointer for each unknown name, loop or missing parent; `policy_stale` if
   *   the draft that is there is not that of `ifMatch`.
   */
  draft(scope: Scope, document: PolicyDocument, options?: SaveDraft): Promise<DraftState>
  /** @throws ProblemError `not_found` without a draft. */
  getDraft(scope: Scope): Promise<DraftState>
  /** Emits `policy.discarded`. @throws ProblemError `not_found` without a draft. */
  discardDraft(scope: Scope): Promise<void>
  /** The history, the latest version first, with authors and notes. @throws ProblemError `invalid_input`. */
  list(scope: Scope, query?: PolicyQuery): Promise<Page<PolicySummary>>
  /** One version, with a document that can be edited and drafted again. @throws ProblemError `not_found`. */
  get(scope: Scope, version: number): Promise<PolicyVersion>
  /**
   * What changes from one policy to another, as text and by member: who gains and who loses which permission, by the
   * roles held now. From what is published to the draft unless told.
   *
   * @throws ProblemError `not_found` for a version or draft that is not there; `invalid_input`.
   */
  diff(scope: Scope, input?: DiffPolicies): Promise<PolicyDiff>
  /**
   * Runs the tests that travel with a policy: that of the draft unless told. Nothing is written.
   *
   * @throws ProblemError `not_found`; `invalid_input`.
   */
  test(scope: Scope, which?: WhichPolicy): Promise<PolicyTestReport>
  /**
   * Makes the draft the tenant's policy, for everybody at once. Emits `policy.published`.
   *
   * @throws ProblemError `policy_stale` if the draft is not that of `ifMatch`, or another version was published since it
   *   was begun; `policy_tests_failed` with `failures`; `last_owner`; `role_in_use` with `roles` if one that goes is
   *   assigned or named by an invite; `exceeds_own_rights` if a role whose rights change, by itself or by what it
   *   inherits, has or had one that the actor lacks.
   */
  publish(scope: Scope, input: PublishPolicy): Promise<PolicyVersion>
  /**
   * Publishes the document of an old version again, as a new one. Roles that are gone come back as other roles of the
   * same keys. Emits `policy.rolled_back`.
   *
   * @throws ProblemError `not_found`, and as `publish`.
   */
  rollback(scope: Scope, input: RollbackPolicy): Promise<PolicyVersion>
}

export function createPolicies(deps: Deps, states: PolicyStates, publish: Publish): Policies {
  const { storage, runtime, catalog, emit, change } = deps
  const noDraft = () => coreErrors.not_found({ detail: 'There is no draft.' })

  async function draftState(stores: RbacStores, tenantId: string): Promise<DraftState> {
    const draft = await stores.policies.draft(tenantId)
    if (!draft) throw noDraft()
    const current = await stores.policies.current(tenantId)
    return { ...draft, stale: draft.basedOn !== (current?.version ?? 0) }
  }

  /** One version of those that a diff names. */
  async function side(stores: RbacStores, tenantId: string, which: number | 'published' | 'draft') {
    const given = which === 'draft' ? { draft: true as const } : which === 'published' ? {} : { version: which }
    const state = await states.of(stores, tenantId, given)
    return { ...state, name: which === 'draft' ? 'draft' : `version ${state.version}` }
  }

  /** Publishes, tells, and shows it. */
  async function install(
    scope: Scope,
    type: 'policy.published' | 'policy.rolled_back',
    prepare: (stores: RbacStores, before: PolicyState) => Promise<NextPolicy>,
  ): Promise<PolicyVersion> {
    const { tenantId } = scope
    return change(scope, async (stores, tx) => {
      const before = await states.current(stores, tenantId, { lock: true })
      const published = await publish(scope, stores, before, await prepare(stores, before))
      const { version, basedOn, note } = published.policy
      const resource = { type: 'policy', id: String(version) }
      await emit(scope, { type, resource, data: { version, basedOn, note }, ...seen(published) }, tx)
      return shown(published.policy)
    })
  }

  return {
    async draft(scope, input, options = {}) {
      const { tenantId, actor = systemActor } = checkScope(scope)
      const { ifMatch, basedOn } = parse(SaveDraft, options)
      const read = readDocument(input)
      return storage.run(async (stores, tx) => {
        const current = await states.current(stores, tenantId)
        if (basedOn !== undefined && basedOn > current.version) {
          const detail = `there are ${current.version} versions`
          throw coreErrors.invalid_input({ errors: [{ pointer: '/basedOn', detail }] })
        }
        const document = documentOf(states.next(current, read))
        const author = { type: actor.type, id: actor.id }
        const saved = { document, etag: etagOf(document), author, updatedAt: runtime.clock.now() }
        const patch = { ...saved, ...(basedOn !== undefined && { basedOn }) }
        const { policies } = stores
        const etag = ifMatch ?? null
        if (!(await policies.changeDraft(tenantId, etag, patch))) {
          if (ifMatch !== undefined) throw stale('The draft has been changed, published or discarded since.')
          const added = await policies.addDraft({ tenantId, basedOn: current.version, ...patch })
          if (!added) await policies.changeDraft(tenantId, null, patch)
        }
        const draft = await draftState(stores, tenantId)
        const resource = { type: 'policy', id: 'draft' }
        await emit(scope, { type: 'policy.drafted', resource, data: { basedOn: draft.basedOn } }, tx)
        return draft
      }, scope.tx)
    },

    async getDraft(scope) {
      const { tenantId, tx } = checkScope(scope)
      return storage.read((stores) => draftState(stores, tenantId), tx)
    },

    async discardDraft(scope) {
      const { tenantId } = checkScope(scope)
      await storage.run(async (stores, tx) => {
        const draft = await stores.policies.draft(tenantId, { lock: true })
        if (!draft) throw noDraft()
        await stores.policies.removeDraft(tenantId, null)
        const resource = { type: 'policy', id: 'draft' }
        await emit(scope, { type: 'policy.discarded', resource, data: { basedOn: draft.basedOn } }, tx)
      }, scope.tx)
    },

    async list(scope, query = {}) {
      const { tenantId, tx } = checkScope(scope)
      const page = parse(PolicyQuery, query)
      return storage.read(
        ({ policies }) =>
          paginate(
            page,
            ['number'],
            (slice) => policies.list(tenantId, slice),
            (last) => [last.version],
          ),
        tx,
      )
    },

    async get(scope, version) {
      const { tenantId, tx } = checkScope(scope)
      parse(RollbackPolicy.shape.version, version, '/version')
      const found = await storage.read(({ policies }) => policies.find(tenantId, version), tx)
      if (!found) throw coreErrors.not_found({ detail: `There is no version ${version} of the policy.` })
      return shown(found)
    },

    async diff(scope, input = {}) {
      const { tenantId, tx } = checkScope(scope)
      const { from = 'published', to = 'draft' } = parse(DiffPolicies, input)
      return storage.read(async (stores) => {
        const [was, is] = [await side(stores, tenantId, from), await side(stores, tenantId, to)]
        const books = [was.book, is.book] as const
        const members = await diffMembers(stores, catalog, tenantId, runtime.clock.now(), books)
        return { ...diffTexts(was, is), ...members }
      }, tx)
    },

    async test(scope, which = {}) {
      const { tenantId, tx } = checkScope(scope)
      const { version, document } = parse(WhichPolicy, which)
      const asked = version === undefined && document === undefined ? { draft: true as const } : which
      return storage.read(async (stores) => {
        const { book, tests } = await states.of(stores, tenantId, asked)
        return runTests(catalog, book, tenantId, tests)
      }, tx)
    },

    async publish(scope, input) {
      const { tenantId } = checkScope(scope)
      const { ifMatch, note = null } = parse(PublishPolicy, input)
      return install(scope, 'policy.published', async ({ policies }, before) => {
        const draft = await policies.draft(tenantId, { lock: true })
        if (!draft || draft.etag !== ifMatch) throw stale('The draft has been changed, published or discarded since.')
        if (draft.basedOn !== before.version) {
          throw stale(`The draft was begun at version ${draft.basedOn}; version ${before.version} is published by now.`)
        }
        await policies.removeDraft(tenantId, null)
        return { kind: 'publish', basedOn: draft.basedOn, note, document: readDocument(draft.document) }
      })
    },

    async rollback(scope, input) {
      const { tenantId } = checkScope(scope)
      const { version, note = null } = parse(RollbackPolicy, input)
      return install(scope, 'policy.rolled_back', async (stores) => {
        const { roles, tests } = await states.version(stores, tenantId, version)
        return { kind: 'rollback', basedOn: version, note, document: documentOf({ roles, tests }) }
      })
    },
  }
}

/** Of what is said, so that the same draft saved twice is the same. */
function etagOf(document: ReadDocument): string {
  return createHash('sha256')
    .update(canonicalize(document) ?? '')
    .digest('hex')
    .slice(0, 32)
}

function shown({ roles, tests, ...summary }: Policy): PolicyVersion {
  return { ...summary, document: documentOf({ roles, tests }) }
}

/** The roles that differ, as the log shows them. */
function seen({ before, after }: Published) {
  const differs = (one: PolicyState, other: PolicyState) =>
    one.roles.filter((role) => !other.roles.some((same) => same.id === role.id && saysTheSame(same, role)))
  const view = (state: PolicyState, other: PolicyState) => ({
    version: state.version,
    roles: differs(state, other).map((role) => RoleView.parse(role)),
  })
  return { before: view(before, after), after: view(after, before) }
}
