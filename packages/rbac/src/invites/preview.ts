/** What the page that an invite leads to may show. */
import { parse, type Tx } from '@org/core'
import type { Deps } from '../deps.js'
import { unknownInvite } from './accept.js'
import { masked } from './email.js'
import { statusOf } from './invite.js'
import { type InvitePreview, TokenInput } from './schema.js'
import { hashOf } from './token.js'

export function createPreview({ storage, runtime, roles: predefined }: Pick<Deps, 'storage' | 'runtime' | 'roles'>) {
  return async (input: TokenInput, { tx }: { tx?: Tx | undefined } = {}): Promise<InvitePreview> => {
    const { token } = parse(TokenInput, input)
    return storage.read(async (stores) => {
      const invite = await stores.invites.findByHash(hashOf(token))
      if (!invite || statusOf(invite, runtime.clock.now()) !== 'pending') throw unknownInvite()
      const { tenantId, kind, email, domains, expiresAt } = invite
      const book = predefined.with(await stores.policies.current(tenantId))
      return {
        ...{ kind, domains, expiresAt, maskedEmail: email === null ? null : masked(email) },
        tenantName: (await stores.tenants.find(tenantId))?.name ?? null,
        roleNames: invite.roles.map(({ id, key }) => book.byId(id)?.name ?? key),
      }
    }, tx)
  }
}
