/** What the HTTP contracts ask with: a member, a tenant, a request. */

export interface Asked {
  status: number
  headers: Headers
  // The contracts look into documents of any shape.
  // biome-ignore lint/suspicious/noExplicitAny: see above
  body: any
}

export interface AskOptions {
  body?: unknown
  headers?: Record<string, string>
}

/** `ask('ann', 'GET /me')`; null is nobody. `who@tenant` asks in another tenant than `acme`. */
export function client(url: () => string) {
  return async (who: string | null, request: string, { body, headers = {} }: AskOptions = {}): Promise<Asked> => {
    const [method = 'GET', path = '/'] = request.split(' ')
    const [user, tenant = 'acme'] = who?.split('@') ?? []
    const identity = user ? { 'x-user': user, 'x-tenant': tenant } : {}
    const json = body === undefined ? {} : { 'content-type': 'application/json' }
    const response = await fetch(url() + path, {
      method,
      headers: { ...identity, ...json, ...(headers as Record<string, string>) } as Record<string, string>,
      ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    })
    const text = await response.text()
    return { status: response.status, headers: response.headers, body: text ? JSON.parse(text) : undefined }
  }
}
