/**
 * The contract that every storage of @org/rbac keeps, for whoever writes an adapter. It knows no test runner:
 *
 * ```ts
 * for (const { name, run } of storageContract) it(name, () => run(open))
 * ```
 */
import type { ContractCase } from '@org/core/testing'
import type { RbacStorage } from './storage/port.js'
import { assignmentContract } from './testing/assignments.js'
import { auditContract } from './testing/audit.js'
import { auditChainContract } from './testing/audit-chain.js'
import { inviteContract } from './testing/invites.js'
import { keyContract } from './testing/keys.js'
import { memberContract } from './testing/members.js'
import { policyContract } from './testing/policies.js'
import { transactionContract } from './testing/transactions.js'

export { fakeClock } from '@org/core/testing'

export const storageContract: readonly ContractCase<RbacStorage>[] = [
  ...assignmentContract,
  ...auditContract,
  ...auditChainContract,
  ...keyContract,
  ...policyContract,
  ...memberContract,
  ...inviteContract,
  ...transactionContract,
]
