/** What @org/rbac answers beyond the errors that any module can answer with. */
import { defineErrors } from '@org/core'

export const rbacErrors = defineErrors('rbac', {
  exceeds_own_rights: { status: 403, title: 'This takes rights that you do not hold yourself' },
  last_owner: { status: 409, title: 'A tenant must keep one owner' },
})
