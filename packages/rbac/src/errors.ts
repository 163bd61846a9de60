/** What @org/rbac answers beyond the errors that any module can answer with. */
import { defineErrors } from '@org/core'

export const rbacErrors = defineErrors('rbac', {
  exceeds_own_rights: { status: 403, title: 'This takes rights that you do not hold yourself' },
  last_owner: { status: 409, title: 'A tenant must keep one owner' },
  tenant_exists: { status: 409, title: 'The tenant is there already' },
  already_member: { status: 409, title: 'The user is a member already' },
  member_suspended: { status: 409, title: 'The member is suspended' },
  already_invited: { status: 409, title: 'An invite to this address is pending' },
  invite_not_found: { status: 404, title: 'The invite cannot be accepted' },
  invite_wrong_email: { status: 403, title: 'The invite is for somebody else' },
  invite_void: { status: 409, title: 'The invite is worth nothing any more' },
  invite_closed: { status: 409, title: 'The invite was accepted or revoked' },
  key_revoked: { status: 409, title: 'The API key is revoked' },
  ip_not_allowed: { status: 403, title: 'The API key may not be used from this address' },
  rate_limited: { status: 429, title: 'Too many requests' },
  not_owner: { status: 409, title: 'The member is not an owner' },
  role_exists: { status: 409, title: 'There is a role with this key already' },
  role_predefined: { status: 409, title: 'The role belongs to the host app and cannot be changed' },
  role_in_use: { status: 409, title: 'The role is in use' },
  policy_stale: { status: 412, title: 'The policy has changed since' },
  policy_tests_failed: { status: 422, title: 'Tests of the policy fail' },
  precondition_required: { status: 428, title: 'Say with If-Match which state you have seen' },
})
