import { authorize, coreErrors, pageOf, type Route, route } from '@org/core'
import { rbacErrors } from '../errors.js'
import type { Resources } from '../permissions/resources.js'
import { ExplanationView } from '../permissions/schema.js'
import {
  DiffParams,
  DraftParams,
  NoteBody,
  PolicyDiff,
  PolicyDocument,
  PolicyDraftView,
  PolicyParams,
  PolicyQuery,
  PolicySummaryView,
  PolicyTestReport,
  PolicyVersionView,
  Simulate as SimulateBody,
  WhichPolicy,
} from './schema.js'
import type { Policies } from './service.js'
import type { Simulations } from './simulate.js'

const refusals = [
  rbacErrors.exceeds_own_rights,
  rbacErrors.last_owner,
  rbacErrors.role_in_use,
  rbacErrors.policy_tests_failed,
]
const path = '/policies/draft'
const ifMatch = 'Send the `etag` of the draft in the header `If-Match`'

export function policyRoutes(policies: Policies, { simulate }: Simulations<Resources>): Route[] {
  return [
    route({
      id: 'rbac.listPolicies',
      method: 'GET',
      path: '/policies',
      summary: "List the versions of the tenant's policy, the latest first",
      can: ['read', 'policies'],
      query: PolicyQuery,
      response: pageOf(PolicySummaryView),
      handler: ({ query }, ctx) => policies.list(ctx, query),
    }),
    route({
      id: 'rbac.getPolicyDraft',
      method: 'GET',
      path,
      summary: 'Get the draft of the next version',
      can: ['read', 'policies'],
      response: PolicyDraftView,
      errors: [coreErrors.not_found],
      handler: (_input, ctx) => policies.getDraft(ctx),
    }),
    route({
      id: 'rbac.savePolicyDraft',
      method: 'PUT',
      path,
      summary: 'Save the draft of the next version',
      description: `${ifMatch} to save over that one only.`,
      can: ['update', 'policies'],
      query: DraftParams,
      body: PolicyDocument,
      response: PolicyDraftView,
      errors: [rbacErrors.policy_stale],
      handler: ({ query, body, headers }, ctx) => {
        const etag = etagIn(headers)
        return policies.draft(ctx, body, { ...query, ...(etag !== undefined && { ifMatch: etag }) })
      },
    }),
    route({
      id: 'rbac.discardPolicyDraft',
      method: 'DELETE',
      path,
      summary: 'Throw the draft away',
      can: ['update', 'policies'],
      errors: [coreErrors.not_found],
      handler: (_input, ctx) => policies.discardDraft(ctx),
    }),
    route({
      id: 'rbac.diffPolicies',
      method: 'GET',
      path: '/policies/diff',
      summary: 'Compare two policies: what changes, and who gains and loses which permission',
      description:
        'From what is published to the draft unless told. `from` and `to` are versions, `published` or `draft`.',
      can: ['read', 'policies'],
      query: DiffParams,
      response: PolicyDiff,
      errors: [coreErrors.not_found],
      handler: ({ query }, ctx) => policies.diff(ctx, query),
    }),
    route({
      id: 'rbac.testPolicy',
      method: 'POST',
      path: '/policies/test',
      summary: 'Run the tests of the draft, of a version or of a document',
      can: ['read', 'policies'],
      body: WhichPolicy.optional(),
      response: PolicyTestReport,
      errors: [coreErrors.not_found],
      handler: ({ body }, ctx) => policies.test(ctx, body),
    }),
    route({
      id: 'rbac.publishPolicy',
      method: 'POST',
      path: '/policies/publish',
      summary: 'Make the draft the policy, for everybody at once',
      description: `${ifMatch}, so that nobody publishes what they have not seen.`,
      can: ['create', 'policies'],
      body: NoteBody.optional(),
      status: 201,
      response: PolicyVersionView,
      errors: [...refusals, rbacErrors.policy_stale, rbacErrors.precondition_required],
      handler: async ({ body, headers }, ctx) => {
        const etag = etagIn(headers)
        if (etag === undefined) throw rbacErrors.precondition_required({ detail: `${ifMatch}.` })
        return policies.publish(ctx, { ifMatch: etag, ...body })
      },
    }),
    route({
      id: 'rbac.simulatePermission',
      method: 'POST',
      path: '/policies/simulate',
      summary: 'Ask what a member, or anybody with some roles, could do under another policy',
      description: 'Asking about the roles of another member needs the permission team:read as well.',
      can: ['read', 'policies'],
      body: SimulateBody,
      response: ExplanationView,
      errors: [coreErrors.not_found],
      handler: ({ body }, ctx) => {
        const { tenantId, actor, tx } = ctx
        // With roles, the id only fills in a variable.
        const isOneself = actor.type === 'user' && body.userId === actor.id
        if (!body.roles && !isOneself) authorize(ctx, 'read', 'team')
        return simulate({ ...body, tenantId, tx })
      },
    }),
    route({
      id: 'rbac.getPolicy',
      method: 'GET',
      path: '/policies/:version',
      summary: 'Get one version with its document',
      can: ['read', 'policies'],
      params: PolicyParams,
      response: PolicyVersionView,
      errors: [coreErrors.not_found],
      handler: ({ params }, ctx) => policies.get(ctx, params.version),
    }),
    route({
      id: 'rbac.rollBackPolicy',
      method: 'POST',
      path: '/policies/:version/rollback',
      summary: 'Publish an old version again, as a new one',
      can: ['create', 'policies'],
      params: PolicyParams,
      body: NoteBody.optional(),
      status: 201,
      idempotent: true,
      response: PolicyVersionView,
      errors: [coreErrors.not_found, ...refusals],
      handler: ({ params, body }, ctx) => policies.rollback(ctx, { version: params.version, ...body }),
    }),
  ]
}

/** One strong entity tag, in its quotes or as the draft's `etag` is (RFC 9110 §13.1.1). Others match nothing. */
function etagIn(headers: Readonly<Record<string, string | undefined>>): string | undefined {
  const sent = headers['if-match']?.trim()
  if (sent === undefined || sent === '') return undefined
  return (/^"(.*)"$/.exec(sent)?.[1] ?? sent).slice(0, 128) || 'none'
}
