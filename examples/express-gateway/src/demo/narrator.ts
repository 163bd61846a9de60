/** Prints the story as it happens, and remembers whether each step came out as told. */

export interface Answer {
  status: number
  headers: Headers
  // biome-ignore lint/suspicious/noExplicitAny: whatever JSON the app answered; each step says what it expects of it
  body: any
}

export interface Narrator {
  chapter(title: string): void
  say(text: string): void
  /** Asks the app over HTTP as one of the users, and prints what was asked and answered. */
  ask(
    who: string,
    request: string,
    options?: { body?: unknown; headers?: Record<string, string>; quiet?: boolean },
  ): Promise<Answer>
  /** A step that must hold; the demo fails at the end if it does not. */
  check(claim: string, holds: boolean, seen?: unknown): void
  /** Waits until it holds, for a bounded time, and checks it. */
  eventually(claim: string, holds: () => boolean | Promise<boolean>, seconds?: number): Promise<void>
  summary(): { passed: number; failed: number }
}

const colour = (code: number) => (text: string) => (process.stdout.isTTY ? `\x1b[${code}m${text}\x1b[0m` : text)
const bold = colour(1)
const red = colour(31)
const green = colour(32)
const grey = colour(90)

/** `cookies` holds a session for each user's name. */
export function createNarrator(baseUrl: string, cookies: Map<string, string>): Narrator {
  let passed = 0
  let failed = 0
  let chapters = 0
  const check = (claim: string, holds: boolean, seen?: unknown) => {
    if (holds) passed++
    else failed++
    const extra = holds || seen === undefined ? '' : grey(`  saw: ${JSON.stringify(seen)}`)
    console.log(`   ${holds ? green('✓') : red('✗ FAILED:')} ${claim}${extra}`)
  }
  return {
    chapter: (title) => console.log(`\n${bold(`${++chapters}. ${title}`)}`),
    say: (text) => console.log(`   ${grey(text)}`),
    check,
    async ask(who, request, { body, headers = {}, quiet = false } = {}) {
      const [method = 'GET', path = '/'] = request.split(' ')
      const cookie = cookies.get(who)
      const response = await fetch(baseUrl + path, {
        method,
        headers: {
          ...(body !== undefined && { 'content-type': 'application/json' }),
          ...(cookie && { cookie }),
          ...headers,
        },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      })
      const text = await response.text()
      const answer = { status: response.status, headers: response.headers, body: text ? JSON.parse(text) : undefined }
      const session = response.headers.get('set-cookie')?.split(';', 1)[0]
      if (session) cookies.set(who, session)
      if (!quiet)
        console.log(
          `   ${who} → ${bold(request)}${body ? ` ${short(body)}` : ''}\n       ${response.status} ${short(answer.body)}`,
        )
      return answer
    },
    async eventually(claim, holds, seconds = 15) {
      const deadline = Date.now() + seconds * 1000
      while (!(await holds()) && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 50))
      check(claim, await holds())
    },
    summary: () => ({ passed, failed }),
  }
}

/** One line of JSON; of a problem document, what a person reads of it. */
function short(value: unknown): string {
  if (value === undefined) return ''
  const problem = value as { code?: string; detail?: string; errors?: { pointer: string; detail: string }[] }
  if (problem.code) {
    const fields = problem.errors?.map(({ pointer, detail }) => `${pointer}: ${detail}`) ?? []
    return grey([problem.code, problem.detail, ...fields].filter(Boolean).join(' · '))
  }
  const text = JSON.stringify(value, (key, field) => (key === 'password' ? '…' : field))
  return grey(text.length > 160 ? `${text.slice(0, 157)}…` : text)
}
