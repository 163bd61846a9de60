/** What @org/rbac answers beyond the errors that any module can answer with. */
import { defineErrors } from '@org/core'

export const rbacErrors = defineErrors('rbac', {
  exceeds_own_rights: { status: 403, title: 'This takes rights that you do not hold yourself' },
  last_owner: { status: 409, title: 'A tenant must keep one owner' },
  tenant_exists: { status: 409, title: 'The tenant is there already' },
  already_member: { status: 409, title: 'The user is a member already' },
  member_suspended: { status: 409, title: 'The member is suspended' },
  not_owner: { status: 409, title: 'The member is not an owner' },
})
