/** The story that the demo plays. Everything is asked over HTTP, as a browser or a script would. */
import type { Narrator } from './narrator.js'
import type { Receiver } from './receiver.js'

export interface Stage extends Narrator {
  receiver: Receiver
  /** Moves the clock of the modules forward. */
  passTime(days: number): void
  /** What the app does each minute: renewals, scheduled changes. */
  dueWork(): Promise<unknown>
}

export async function tell(stage: Stage): Promise<void> {
  const names = await signIn(stage)
  const projectId = await guard(stage)
  await registerEndpoint(stage)
  const key = await createKeys(stage, projectId)
  await meter(stage, key)
  await upgrade(stage, key)
  await retry(stage, key)
  await invite(stage)
  await otherTenant(stage, key)
  await audit(stage, names)
}

const types = (receiver: Receiver) => receiver.received.map((message) => message.type)

interface Entry {
  time: string
  action: string
  actor: { type: string; id: string }
  resource: { id: string } | null
}

/** Answers the name behind each user id, for the audit log at the end. */
async function signIn({ chapter, ask, check }: Stage): Promise<Map<string, string>> {
  chapter('Sign in with the app’s own accounts')
  for (const [name, tenant] of [
    ['olga', 'acme'],
    ['dev', 'acme'],
    ['rita', 'acme'],
    ['gus', 'globex'],
  ] as const) {
    await ask(name, 'POST /sign-in', {
      body: { email: `${name}@${tenant}.test`, password: 'correct horse' },
      quiet: true,
    })
  }
  const names = new Map<string, string>()
  for (const name of ['olga', 'dev', 'rita']) {
    names.set((await ask(name, 'GET /api/rbac/me', { quiet: true })).body.actor.id, name)
  }
  const me = await ask('dev', 'GET /api/rbac/me')
  check(
    'dev is a Developer: may do all with keys, and only read analytics',
    me.body.permissions?.includes('keys:create') && !me.body.permissions?.includes('analytics:create'),
    me.body,
  )
  const zoe = { email: 'zoe@initech.test', password: 'correct horse' }
  await ask('zoe', 'POST /sign-up', { body: zoe })
  await ask('zoe', 'POST /sign-in', { body: zoe, quiet: true })
  const owner = await ask('zoe', 'GET /api/rbac/me', { quiet: true })
  check(
    'whoever signs up owns a new tenant: the account and the role in one transaction',
    owner.body.roles?.[0] === 'owner',
    owner.body,
  )
  const again = await ask('zoe', 'POST /sign-up', { body: zoe, quiet: true })
  check('the same e-mail again: 409, and no second tenant', again.status === 409)
  return names
}

async function guard({ chapter, ask, check }: Stage): Promise<string> {
  chapter('A guarded route refuses, and allows')
  const nobody = await ask('nobody', 'GET /projects')
  check('without an identity: 401', nobody.status === 401)
  const project = await ask('olga', 'POST /projects', { body: { name: 'Website' } })
  const refused = await ask('rita', `POST /projects/${project.body.id}/keys`, { body: { name: 'production' } })
  check(
    'Read Only may not create a key: 403 that names the permission',
    refused.status === 403 && refused.body.action === 'create' && refused.body.resource === 'keys',
  )
  const allowed = await ask('rita', 'GET /projects')
  check('but may look: 200', allowed.status === 200)
  return project.body.id
}

async function registerEndpoint({ chapter, ask, check, receiver }: Stage) {
  chapter('Register a webhook endpoint')
  const plain = await ask('olga', 'POST /api/webhooks/endpoints', { body: { url: 'http://example.com/hooks' } })
  check('plain http is refused: 422 that says why', plain.status === 422)
  const inside = await ask('olga', 'POST /api/webhooks/endpoints', {
    body: { url: 'https://169.254.169.254/latest/meta-data' },
  })
  check('so is an address inside the host’s own network', inside.status === 422)
  const made = await ask('olga', 'POST /api/webhooks/endpoints', {
    body: { url: receiver.url, eventTypes: ['key.*', 'quota.exceeded', 'alert.triggered'] },
  })
  check('the signing secret is shown', made.status === 201 && String(made.body.secret).startsWith('whsec_'))
  receiver.trust(made.body.secret)
  const again = await ask('olga', `GET /api/webhooks/endpoints/${made.body.id}`, { quiet: true })
  check('once, and never again', again.status === 200 && !JSON.stringify(again.body).includes('whsec_'))
}

async function createKeys({ chapter, say, ask, check, eventually, receiver }: Stage, projectId: string) {
  chapter('A key and its webhook: both, or neither')
  const made = await ask('dev', `POST /projects/${projectId}/keys`, { body: { name: 'production' } })
  check('the key is created', made.status === 201)
  await eventually('key.created was delivered, and its signature verified', () =>
    types(receiver).includes('key.created'),
  )
  const taken = await ask('dev', `POST /projects/${projectId}/keys`, { body: { name: 'production' } })
  check('the same name again: 409, and the transaction rolled back', taken.status === 409)
  const deliveries = await ask('olga', 'GET /api/webhooks/deliveries?eventType=key.created', { quiet: true })
  check('so there is one key.created delivery, not two', deliveries.body.data.length === 1, deliveries.body)
  say('The route made the key before it inserted its own row: there is nothing to undo by hand.')
  return made.body as { id: string; secret: string }
}

const call = (stage: Stage, secret: string, path = '/v1/hello') =>
  stage.ask('the API key', `GET ${path}`, { headers: { 'x-api-key': secret }, quiet: true })

async function meter(stage: Stage, key: { secret: string }) {
  const { chapter, say, ask, check, eventually, receiver } = stage
  chapter('A plan, metered calls and a quota')
  const subscribed = await ask('olga', 'POST /api/billing/subscriptions', {
    body: { plan: 'starter', interval: 'month' },
  })
  check('acme is on Starter: 19.00 a month, 10 requests', subscribed.status === 201)
  const statuses: number[] = []
  for (let i = 0; i < 10; i++) {
    const { status, headers } = await call(stage, key.secret)
    statuses.push(status)
    if (i === 8) say(`9th call: ${status}; RateLimit: ${headers.get('ratelimit')}`)
  }
  check(
    'ten calls pass',
    statuses.every((status) => status === 200),
    statuses,
  )
  const eleventh = await call(stage, key.secret)
  say(`11th call: ${eleventh.status} ${eleventh.body.code}; Retry-After: ${eleventh.headers.get('retry-after')} s`)
  check(
    'the eleventh meets the quota: 429 with Retry-After',
    eleventh.status === 429 && eleventh.headers.has('retry-after'),
  )
  await eventually('alert.triggered (at 80 %) and quota.exceeded were delivered and verified', () =>
    ['alert.triggered', 'quota.exceeded'].every((type) => types(receiver).includes(type)),
  )
}

async function upgrade(stage: Stage, key: { secret: string }) {
  const { chapter, say, ask, check, passTime, dueWork } = stage
  chapter('Upgrade in the middle of the month')
  const sso = await ask('olga', 'GET /sso')
  check('Starter has no single sign-on', sso.status === 402 || sso.status === 403)
  passTime(14)
  await dueWork()
  say('Two weeks pass.')
  const current = await ask('olga', 'GET /api/billing/subscriptions', { quiet: true })
  const id = current.body.data[0].id
  const change = { plan: 'pro', interval: 'month' }
  const preview = await ask('olga', `POST /api/billing/subscriptions/${id}/preview`, { body: change })
  check('a preview says what it will cost', preview.status === 200)
  const changed = await ask('olga', `POST /api/billing/subscriptions/${id}/change`, { body: change })
  check('the upgrade is made', changed.status === 200, changed.body)
  const invoices = await ask('olga', 'GET /api/billing/invoices', { quiet: true })
  const [prorated] = invoices.body.data
  for (const line of prorated.lines) say(`${money(line.amount).padStart(8)}  ${line.description}`)
  say(`${money(prorated.total).padStart(8)}  total of invoice ${prorated.number}, ${prorated.status}`)
  check(
    'the prorated invoice is paid: a credit for the old plan, a charge for the new',
    prorated.status === 'paid' &&
      prorated.lines.length === 2 &&
      prorated.lines.some((line: { amount: number }) => line.amount < 0),
  )
  check('calls pass again', (await call(stage, key.secret)).status === 200)
  check('and single sign-on is open', (await ask('olga', 'GET /sso')).status === 200)
}

async function retry({ chapter, say, ask, check, eventually, receiver }: Stage, key: { id: string }) {
  chapter('A receiver that is down for a moment')
  receiver.failNext(1)
  const revoked = await ask('dev', `DELETE /api/rbac/keys/${key.id}`)
  check('the key is revoked', revoked.status === 204)
  say('The receiver answers 503; the next attempt is due in 5 s ± 20 %.')
  await eventually('key.revoked arrived with the second attempt, under the same webhook-id', () =>
    receiver.received.some((message) => message.type === 'key.revoked' && message.attempt === 2),
  )
  const deliveries = await ask('olga', 'GET /api/webhooks/deliveries?limit=1', { quiet: true })
  const delivery = deliveries.body.data[0]
  const attempts = async (): Promise<{ number: number; status: number | null; error: string; durationMs: number }[]> =>
    (await ask('olga', `GET /api/webhooks/deliveries/${delivery.id}/attempts`, { quiet: true })).body.data
  // It is written a moment after it has arrived.
  await eventually('the delivery log has both attempts', async () => (await attempts()).length === 2)
  for (const attempt of (await attempts()).reverse())
    say(`attempt ${attempt.number}: ${attempt.status ?? attempt.error} in ${attempt.durationMs} ms`)
  check('no delivery came with a bad signature', receiver.forged === 0)
}

async function invite({ chapter, ask, check }: Stage) {
  chapter('Invite a colleague')
  const invited = await ask('olga', 'POST /api/rbac/invites', {
    body: { email: 'Zoe@initech.test', roles: ['developer'] },
  })
  check('the token is shown, to put into a mail', invited.status === 201 && invited.body.token)
  const stranger = await ask('gus', 'POST /join', { body: { token: invited.body.token } })
  check('somebody else’s address cannot use it: 403', stranger.status === 403)
  const joined = await ask('zoe', 'POST /join', { body: { token: invited.body.token } })
  check('zoe joins: membership and the app’s own row in one transaction', joined.body.tenantId === 'acme', joined.body)
  const me = await ask('zoe', 'GET /api/rbac/me', { quiet: true })
  check('and is a Developer of acme', me.body.tenantId === 'acme' && me.body.roles[0] === 'developer', me.body)
  const higher = await ask('dev', 'POST /api/rbac/assignments', { body: { userId: me.body.actor.id, role: 'owner' } })
  check('a Developer cannot make her an owner', higher.status === 403)
}

async function otherTenant({ chapter, ask, check }: Stage, key: { id: string }) {
  chapter('Another tenant sees none of it')
  const stolen = await ask('gus', `DELETE /api/rbac/keys/${key.id}`)
  check('globex’s owner gets 404 for acme’s key', stolen.status === 404)
  const endpoints = await ask('gus', 'GET /api/webhooks/endpoints')
  check('and an empty list of endpoints', endpoints.body.data.length === 0)
}

async function audit({ chapter, say, ask, check, dueWork }: Stage, names: Map<string, string>) {
  chapter('The audit log tells the story')
  const log = await ask('olga', 'GET /api/rbac/audit?limit=100', { quiet: true })
  const entries: Entry[] = [...log.body.data].reverse()
  for (const { time, action, actor, resource } of entries) {
    const who = names.get(actor.id) ?? actor.type
    say(`${time.slice(0, 19).replace('T', ' ')}  ${who.padEnd(8)}${action.padEnd(24)}${resource?.id ?? ''}`)
  }
  const actions = entries.map((entry) => entry.action)
  const told = [
    'endpoint.created',
    'key.created',
    'subscription.created',
    'quota.exceeded',
    'subscription.updated',
    'key.revoked',
  ]
  check(
    'every change is there',
    told.every((action) => actions.includes(action)),
    actions,
  )
  check('and only what was committed', actions.filter((action) => action === 'key.created').length === 1)
  const refused = await ask('dev', 'GET /api/rbac/audit', { quiet: true })
  check('a Developer may not read it', refused.status === 403)
  const denied = await ask('olga', 'GET /api/rbac/audit?outcome=denied', { quiet: true })
  check('which is in the log as well', denied.body.data.length > 0, denied.body)
  await dueWork()
  const proof = await ask('olga', 'GET /api/rbac/audit/verify')
  check('the log is sealed, and nobody has touched it', proof.body.ok && proof.body.sealed > 0, proof.body)
}

function money(minor: number): string {
  return (minor / 100).toFixed(2)
}
