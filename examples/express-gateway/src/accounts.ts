/** The host's own users and sessions. The modules know nothing of them: they are told a tenant and a user id. */
import { createHash, randomBytes, randomUUID, scrypt, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import type { Knex } from 'knex'
import type { Modules } from './modules.js'

export interface User {
  id: string
  tenantId: string
}

const sessionHours = 12

export async function createUser(db: Knex, user: { tenantId: string; email: string; password: string }): Promise<User> {
  const salt = randomBytes(16).toString('hex')
  const id = `user_${randomUUID()}`
  await db('users').insert({
    id,
    tenant_id: user.tenantId,
    email: user.email,
    password_salt: salt,
    password_hash: await hashPassword(user.password, salt),
  })
  return { id, tenantId: user.tenantId }
}

/**
 * Whoever signs up owns a new tenant: the user's row and the role are written together, or not at all. Null if the
 * e-mail is taken.
 */
export async function signUp(db: Knex, { rbac }: Modules, email: string, password: string): Promise<User | null> {
  return db.transaction(async (tx) => {
    if (await tx('users').where({ email }).first()) return null
    const user = await createUser(tx, { tenantId: `org_${randomUUID()}`, email, password })
    await rbac.assignments.assign({ tenantId: user.tenantId, tx }, { userId: user.id, role: 'owner' })
    return user
  })
}

/** Joins the tenant that an invite is of: membership and the user's row change together. */
export async function join(db: Knex, { rbac }: Modules, user: User, token: string): Promise<User> {
  return db.transaction(async (tx) => {
    const { tenantId } = await rbac.invites.accept({ userId: user.id, token }, { tx })
    await tx('users').where({ id: user.id }).update({ tenant_id: tenantId })
    return { id: user.id, tenantId }
  })
}

/** A real app answers only those that were confirmed by a mail. */
export async function emailsOf(db: Knex, userId: string): Promise<string[]> {
  return db('users').where({ id: userId }).pluck('email')
}

/** A new session's token, or null if the e-mail or the password is wrong. */
export async function signIn(db: Knex, email: string, password: string): Promise<string | null> {
  const row = await db('users').where({ email }).first()
  // An unknown e-mail takes as long as a wrong password, so that nobody can tell the two apart.
  const given = await hashPassword(password, row?.password_salt ?? '')
  if (!row || !timingSafeEqual(Buffer.from(given), Buffer.from(row.password_hash))) return null
  const token = randomBytes(32).toString('base64url')
  const expiresAt = Date.now() + sessionHours * 3_600_000
  await db('sessions').insert({ token_hash: sha256(token), user_id: row.id, expires_at: expiresAt })
  return token
}

/** Who holds this session, or null. */
export async function userOfSession(db: Knex, token: string | undefined): Promise<User | null> {
  if (!token) return null
  const row = await db('sessions')
    .join('users', 'users.id', 'sessions.user_id')
    .where('sessions.token_hash', sha256(token))
    .where('sessions.expires_at', '>', Date.now())
    .first('users.id', 'users.tenant_id')
  return row ? { id: row.id, tenantId: row.tenant_id } : null
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

const derive = promisify(scrypt) as (password: string, salt: string, length: number) => Promise<Buffer>

async function hashPassword(password: string, salt: string): Promise<string> {
  return (await derive(password, salt, 32)).toString('hex')
}
