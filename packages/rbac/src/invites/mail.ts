/** Hands invites to the host's mailer, which may fail. */
import { isProblem } from '@org/core'
import type { Deps } from '../deps.js'
import type { InviteMail, InviteOptions } from './options.js'
import type { Invite, IssuedInvite } from './schema.js'
import { hashOf } from './token.js'

/** Sends what is committed, and answers the invite as it is then. Never rejects. */
export type SendInvite = (issued: IssuedInvite, tenantName: string | null) => Promise<Invite>

export function createSendInvite({ storage, runtime }: Pick<Deps, 'storage' | 'runtime'>, options: InviteOptions) {
  const { clock, logger } = runtime
  const attempt = async (mail: InviteMail): Promise<Pick<Invite, 'sentAt' | 'sendError'>> => {
    try {
      await options.send?.(mail)
      return { sentAt: clock.now(), sendError: null }
    } catch (error) {
      logger.error('An invite could not be sent', { inviteId: mail.invite.id, ...withoutToken(error, mail.token) })
      return { sentAt: null, sendError: codeOf(error) }
    }
  }

  const send: SendInvite = async ({ invite, token }, tenantName) => {
    if (!options.send || invite.email === null) return invite
    const sent = await attempt({ to: invite.email, invite, token, tenantId: invite.tenantId, tenantName })
    try {
      await storage.run(({ invites }) => invites.setSent(invite.id, hashOf(token), sent))
    } catch (error) {
      // The invite is there and its token good; only the note about the mail is lost.
      logger.error('What became of an invite’s mail could not be noted', { inviteId: invite.id, error })
    }
    return { ...invite, ...sent }
  }
  return send
}

/** A short word that is shown to the team: what mailers say in full may quote the mail, and the token with it. */
function codeOf(error: unknown): string {
  const code = isProblem(error) || (error instanceof Error && 'code' in error) ? String(error.code) : ''
  return /^[A-Za-z][A-Za-z0-9_]{0,39}$/.test(code) ? code : 'send_failed'
}

/** How much of a token in a message is more than chance. */
const quoteLength = 8

/** What the log may know of a failure. Neither the stack nor a message that quotes any of the token. */
function withoutToken(error: unknown, token: string): Record<string, unknown> {
  if (!(error instanceof Error)) return { code: codeOf(error) }
  const reason = quotes(error.message, token) ? undefined : error.message.slice(0, 200)
  return { name: error.name, code: codeOf(error), ...(reason !== undefined && { reason }) }
}

/** Also if it was cut off, or folded as mails fold lines. */
function quotes(message: string, token: string): boolean {
  const unfolded = message.replace(/=?\s+/g, '')
  const starts = Array.from({ length: token.length - quoteLength + 1 }, (_, i) => i)
  return starts.some((start) => unfolded.includes(token.slice(start, start + quoteLength)))
}
