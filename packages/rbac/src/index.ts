/** Roles, permissions and an audit log for an existing app. Start at {@link createRbac}. */
export {
  type Ability,
  type Actor,
  type Clock,
  contextOf,
  type DomainEvent,
  type EventSink,
  isProblem,
  type Logger,
  memoryDatabase,
  ProblemError,
  type RequestContext,
  type Scope,
  type Tx,
} from '@org/core'
export type { Assignment, AssignmentQuery, AssignRole, Instance, UnassignRole } from './assignments/schema.js'
export type { Assignments } from './assignments/service.js'
export type { AssignmentFilter, AssignmentStore, ReadOptions } from './assignments/store.js'
export type { Link as AuditLink, Unsealed as AuditUnsealed } from './audit/chain.js'
export type { AuditCheckpoint, AuditKey } from './audit/checkpoint.js'
export type { Erased } from './audit/erase.js'
export type { Finding } from './audit/findings.js'
export type { AuditOptions } from './audit/options.js'
export type { AuditRecord } from './audit/record.js'
export type { Pruned } from './audit/retention.js'
export type {
  Activity,
  ActivityQuery,
  AuditEntry,
  AuditPart,
  AuditQuery,
  AuditResource,
  EraseAudit,
  ExportAudit,
  ExportFormat,
  LogAuditEntry,
  Outcome,
  PruneAudit,
} from './audit/schema.js'
export type { Sealer, SealResult } from './audit/sealer.js'
export type { Audit } from './audit/service.js'
export type {
  AuditChainStore,
  AuditFilter,
  AuditHead,
  AuditPosition,
  AuditStore,
  ChainedRecord as AuditChainedRecord,
  HeadsDue as AuditHeadsDue,
  TargetRow as AuditTargetRow,
} from './audit/store.js'
export type { AuditVerification, VerifyOptions } from './audit/verify.js'
export type { BusListener, CacheBus, TenantChange } from './cache/bus.js'
export type { CacheOptions } from './cache/options.js'
export type { CacheSync } from './cache/sync.js'
export type { Identify, Identity, KeyIdentity } from './context.js'
export { rbacErrors } from './errors.js'
export { rbacEvents } from './events.js'
export type { PermissionGuard } from './guard.js'
export type { InviteMail, InviteOptions } from './invites/options.js'
export type {
  AcceptInvite,
  CreateInvite,
  Invite,
  InviteKind,
  InvitePreview,
  InviteQuery,
  InviteStatus,
  IssuedInvite,
  ResendInvite,
  StoredInvite,
} from './invites/schema.js'
export type { Invites } from './invites/service.js'
export type { InviteFilter, InvitePatch, InviteStore } from './invites/store.js'
export { apiKeyOf } from './keys/credentials.js'
export type { KeyOptions, Keys } from './keys/keys.js'
export type { MakeRateLimiter, RateLimiter, RateLimitState } from './keys/limits.js'
export type {
  ApiKey,
  CreateKey,
  KeyQuery,
  KeySecret,
  KeyStatus,
  KeyWithSecret,
  RateLimit,
  RotateKey,
  StoredKey,
  UpdateKey,
} from './keys/schema.js'
export type { KeyManagement } from './keys/service.js'
export type { KeyStore } from './keys/store.js'
export type { RefusalCode, Verification, Verify, VerifyKeyOptions } from './keys/verify.js'
export type { ListMembers } from './members/list.js'
export type {
  AddMember,
  InvitedMember,
  Member,
  MemberQuery,
  MemberStatus,
  MemberWithRoles,
  RemoveMember,
  SetRoles,
  TransferOwnership,
} from './members/schema.js'
export type { Members } from './members/service.js'
export type { MemberStore } from './members/store.js'
export type { RbacAbility } from './permissions/ability.js'
export type { Catalog } from './permissions/catalog.js'
export { conditionsMatcher } from './permissions/conditions/matcher.js'
export type { Conditions } from './permissions/conditions/schema.js'
export { type ConcretePermission, hasPermission, type Permission } from './permissions/permission.js'
export { type PredefinedResources, predefinedResources } from './permissions/predefined.js'
export {
  type ActionOf,
  defineResources,
  type ResourceOf,
  type Resources,
} from './permissions/resources.js'
export type { Effect, Rule } from './permissions/rule.js'
export type { CheckPermission, Explanation, Ground, Me } from './permissions/schema.js'
export type { AskOptions, Check, CheckOptions, Permissions } from './permissions/service.js'
export type {
  DiffPolicies,
  Policy,
  PolicyDiff,
  PolicyDocument,
  PolicyDraft,
  PolicyKind,
  PolicyQuery,
  PolicySummary,
  PolicyTest,
  PolicyTestReport,
  PolicyVersion,
  PublishPolicy,
  RollbackPolicy,
  SaveDraft,
  WhichPolicy,
} from './policies/schema.js'
export type { DraftState, Policies } from './policies/service.js'
export type { Simulation, Simulations } from './policies/simulate.js'
export type { PolicyStore } from './policies/store.js'
export { createRbac, type Rbac, type RbacOptions } from './rbac.js'
export type { PublishedRoles } from './roles/book.js'
export { predefinedRoles } from './roles/predefined.js'
export type { CreateRole, Role, RoleDefinition, RoleDefinitions, UpdateRole } from './roles/schema.js'
export type { Roles } from './roles/service.js'
export { type MemoryStorageOptions, memoryStorage } from './storage/memory/index.js'
export type { RbacStorage, RbacStores } from './storage/port.js'
export { defaultTenantId } from './tenants/default.js'
export type { CreateTenant, Membership, Tenant, UpdateTenant } from './tenants/schema.js'
export type { Tenants } from './tenants/service.js'
export type { TenantStore } from './tenants/store.js'
