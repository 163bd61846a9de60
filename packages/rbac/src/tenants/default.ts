/**
 * The tenant of calls that name none, for apps that have only one: `rbac.checkPermission(userId, 'keys', 'read')` asks
 * in the tenant `default`, and so does `rbac.context` when `identify` leaves `tenantId` out. Management calls always
 * name theirs in the scope: `rbac.assignments.assign({ tenantId: defaultTenantId }, …)`.
 */
export const defaultTenantId = 'default'
