/** What a host tells about its invites. */
import { coreErrors, type Tx } from '@org/core'
import { ExpiresInMs, type IssuedInvite } from './schema.js'

/** What goes to the address of an invite. */
export interface InviteMail extends IssuedInvite {
  /** Where it goes: the address of the invite, as it was typed. */
  to: string
  tenantId: string
  /** Null if the tenant was given no name. */
  tenantName: string | null
}

export interface InviteOptions {
  /**
   * The host's mailer, for invites to an address. Called after the invite is committed, and waited for; what it throws
   * is logged without the token, and leaves an invite that `resend` sends again.
   */
  send?: (mail: InviteMail) => Promise<void>
  /**
   * The addresses that the host knows to be the user's, because they have proved it. Asked when an invite to an address,
   * or a link for some domains, is accepted; `tx` is the host's transaction if the call was given one.
   */
  verifiedEmails?: (userId: string, options: { tx?: Tx | undefined }) => Promise<readonly string[]>
  /** How long an invite can be accepted unless it says itself; 7 days unless told. */
  expiresInMs?: number
}

const week = 7 * 24 * 60 * 60 * 1000

/** @throws ProblemError `setup_error`. */
export function checkExpiry({ expiresInMs = week }: InviteOptions): number {
  const { success } = ExpiresInMs.safeParse(expiresInMs)
  if (success) return expiresInMs
  throw coreErrors.setup_error({ detail: '`invites.expiresInMs` must be a whole number, a minute to 366 days.' })
}
