import { Actor, ExternalId, PageQuery, Text, Time, TimeView } from '@org/core'
import { z } from 'zod'
import { addressOf, domainOf } from './email.js'

/** To one address, or to whoever has the link. */
export const InviteKind = z.enum(['email', 'link'])
export type InviteKind = z.infer<typeof InviteKind>

/** `accepted` is an invite that is used up; a link with uses left is pending. */
export const InviteStatus = z.enum(['pending', 'accepted', 'expired', 'revoked'])
export type InviteStatus = z.infer<typeof InviteStatus>

/** An offer to join a tenant's team, with roles. */
export const Invite = z.object({
  id: z.string(),
  tenantId: z.string(),
  kind: InviteKind,
  /** As it was typed; null for a link. */
  email: z.string().nullable(),
  /** Only verified addresses of these domains may use the link, in ASCII and lower case; empty for any. */
  domains: z.array(z.string()),
  /** Null for as many as like to. */
  maxUses: z.number().int().nullable(),
  uses: z.number().int(),
  /** The keys of the roles that it gives. */
  roles: z.array(z.string()),
  /** Whose rights it stands on: whoever made it, or sent it again last. */
  invitedBy: Actor,
  status: InviteStatus,
  /** When the host's mailer took it; null if it has not. */
  sentAt: Time.nullable(),
  /** Why the mailer did not take it, as a code; null if it did or was not asked. */
  sendError: z.string().nullable(),
  expiresAt: Time,
  createdAt: Time,
})
export type Invite = z.infer<typeof Invite>

/** As it leaves: over HTTP and in events. It never holds the token. */
export const InviteView = Invite.omit({ tenantId: true })
  .extend({ sentAt: TimeView.nullable(), expiresAt: TimeView, createdAt: TimeView })
  .meta({ id: 'RbacInvite' })

/** The token is shown this once. */
export const IssuedInvite = z.object({ invite: Invite, token: z.string() })
export type IssuedInvite = z.infer<typeof IssuedInvite>

export const IssuedInviteView = IssuedInvite.extend({ invite: InviteView }).meta({ id: 'RbacIssuedInvite' })

/** What is kept: with the hash in place of the token, and the ids of the roles. */
export interface StoredInvite extends Omit<Invite, 'roles' | 'status'> {
  /** The address as it is compared; null for a link. */
  address: string | null
  roles: { id: string; key: string }[]
  tokenHash: string
  /** What has become of it for good. Whether it has expired is for the clock to say. */
  state: 'open' | 'accepted' | 'revoked'
}

const Email = Text.trim()
  .max(254)
  .refine((text) => addressOf(text) !== null, 'must be an e-mail address')

const Domain = z
  .string()
  .refine((text) => domainOf(text) !== null, 'must be a domain, such as acme.com')
  .transform((text) => domainOf(text) ?? text)

const Link = z.strictObject({
  /** Who has no verified address of one of these is not let in; subdomains are other domains. Anybody unless told. */
  domains: z.array(Domain).min(1).max(50).optional(),
  /** As often as people like unless told. */
  maxUses: z.int().min(1).max(1_000_000).optional(),
})

/** How long it can be accepted, in milliseconds: a minute to a year. */
export const ExpiresInMs = z
  .int()
  .min(60_000)
  .max(366 * 24 * 60 * 60 * 1000)

/** To an address, or as a link: one of the two. */
export const CreateInvite = z
  .strictObject({
    email: Email.optional(),
    link: Link.optional(),
    /** The keys of the roles that it gives; at least one. */
    roles: z.array(ExternalId.max(64)).min(1).max(50),
    expiresInMs: ExpiresInMs.optional(),
  })
  .refine(({ email, link }) => (email === undefined) !== (link === undefined), {
    error: 'send either `email` or `link`',
    path: ['email'],
  })
export type CreateInvite = z.input<typeof CreateInvite>

export const ResendInvite = z.strictObject({ expiresInMs: ExpiresInMs.optional() })
export type ResendInvite = z.input<typeof ResendInvite>

export const InviteQuery = PageQuery.extend({ status: InviteStatus.optional() })
export type InviteQuery = z.input<typeof InviteQuery>

/** Any text: what is no token of ours answers as an unknown one does. */
export const TokenInput = z.strictObject({ token: z.string().min(1).max(256) })
export type TokenInput = z.input<typeof TokenInput>

/** The host's own code says who accepts, and may say which addresses are theirs. */
export const AcceptInvite = TokenInput.extend({
  userId: ExternalId,
  /** Addresses that the host has verified to be the user's; the option `invites.verifiedEmails` is asked unless told. */
  verifiedEmails: z.array(z.string()).readonly().optional(),
})
export type AcceptInvite = z.input<typeof AcceptInvite>

/** For the page that an invite leads to, where nobody may be signed in yet: no ids of people. */
export const InvitePreview = z.object({
  kind: InviteKind,
  /** Null if the tenant was given no name. */
  tenantName: z.string().nullable(),
  /** For people; elsewhere `roles` are keys. */
  roleNames: z.array(z.string()),
  /** `o***@acme.com`; null for a link. */
  maskedEmail: z.string().nullable(),
  domains: z.array(z.string()),
  expiresAt: Time,
})
export type InvitePreview = z.infer<typeof InvitePreview>

export const InvitePreviewView = InvitePreview.extend({ expiresAt: TimeView }).meta({ id: 'RbacInvitePreview' })
