import { coreErrors, PageQuery, pageOf, type Route, route } from '@org/core'
import { MembershipView, type Tenant, TenantView, UpdateTenant } from './schema.js'
import type { Tenants } from './service.js'

export function tenantRoutes(tenants: Tenants): Route[] {
  const shown = ({ id, ...tenant }: Tenant) => ({ tenantId: id, ...tenant })
  return [
    route({
      id: 'rbac.listTenants',
      method: 'GET',
      path: '/tenants',
      summary: 'List the tenants that the caller belongs to',
      description: 'Of every tenant, not only the current one: what a team switcher shows. A key belongs to none.',
      can: 'authenticated',
      query: PageQuery,
      response: pageOf(MembershipView),
      handler: async ({ query }, { actor, tx }) =>
        actor.type === 'user' ? tenants.ofUser(actor.id, { ...query, tx }) : { data: [], next: null },
    }),
    route({
      id: 'rbac.getTenant',
      method: 'GET',
      path: '/tenant',
      summary: 'Get the current tenant',
      can: ['read', 'team'],
      response: TenantView,
      errors: [coreErrors.not_found],
      handler: async (_input, ctx) => shown(await tenants.get(ctx)),
    }),
    route({
      id: 'rbac.updateTenant',
      method: 'PATCH',
      path: '/tenant',
      summary: 'Rename the current tenant',
      can: ['update', 'team'],
      body: UpdateTenant,
      response: TenantView,
      errors: [coreErrors.not_found],
      handler: async ({ body }, ctx) => shown(await tenants.update(ctx, body)),
    }),
  ]
}
