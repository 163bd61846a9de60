/**
 * Resolves names of customers. `dns.lookup` waits in one of the few threads that the whole process has, and cannot be
 * ended: a handful of names whose nameservers never answer would keep everybody else's, and the host's own, from being
 * resolved. So names with a dot are asked for over the network, with a deadline and without a thread.
 */
import { type LookupAddress, lookup, promises } from 'node:dns'
import type { LookupFunction } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'

/** How long a nameserver is waited for first, in milliseconds, and how often it is asked. */
const patience = { timeout: 1_500, tries: 2 }

/** How long IPv6 is waited for when IPv4 has answered: some nameservers never speak of it. */
const otherFamilyMs = 250

/** What says, soon, that the network knows nothing of a name: the system may, from its own files. */
const unknown = new Set(['ENOTFOUND', 'ENODATA', 'ECONNREFUSED', 'EBADNAME', 'ENOTIMP', 'EREFUSED'])

/** How long one waits for the system, in milliseconds. */
const systemPatience = 5_000

export interface LookupParts {
  /** Those of the system unless told. */
  servers?: readonly string[]
  /** Asks the system; rejects if it knows nothing. */
  askSystem?: (hostname: string) => Promise<LookupAddress[]>
}

/** As `dns.lookup` with `all`; the addresses of IPv4 first. One is enough for a process. */
export function createLookup({ servers, askSystem = ofSystem }: LookupParts = {}): LookupFunction {
  /** Those who ask for the same name at the same time are told the same. */
  const running = new Map<string, Promise<LookupAddress[]>>()
  let systemTurn: Promise<unknown> = Promise.resolve()

  async function resolve(hostname: string): Promise<LookupAddress[]> {
    const resolver = new promises.Resolver(patience)
    if (servers) resolver.setServers(servers)
    const four = answerOf(resolver.resolve4(hostname), 4)
    const six = answerOf(resolver.resolve6(hostname), 6)
    const first = await four
    const second = await (Array.isArray(first) ? Promise.race([six, pause(otherFamilyMs, [])]) : six)
    resolver.cancel()
    const addresses = [first, second].flatMap((answer) => (Array.isArray(answer) ? answer : []))
    if (addresses.length > 0) return addresses
    const silent = [first, second].find((answer) => answer instanceof Error && !unknown.has(String(answer.code)))
    if (silent) throw Object.assign(silent, { code: 'EAI_AGAIN' })
    return inTurn(hostname)
  }

  /** One at a time, so that one thread at the most waits for what a customer has named. */
  function inTurn(hostname: string): Promise<LookupAddress[]> {
    const since = performance.now()
    const asked = systemTurn.then(() => {
      if (performance.now() - since < systemPatience) return askSystem(hostname)
      throw Object.assign(new Error(`${hostname} was not looked up in time`), { code: 'EAI_AGAIN' })
    })
    systemTurn = asked.catch(() => {})
    return asked
  }

  return (hostname, _, callback) => {
    // Nobody but the host can have a name without a dot.
    if (!hostname.replace(/\.$/, '').includes('.')) return lookup(hostname, { all: true }, callback)
    let resolving = running.get(hostname)
    if (!resolving) {
      resolving = resolve(hostname).finally(() => running.delete(hostname))
      running.set(hostname, resolving)
    }
    resolving.then(
      (addresses) => callback(null, addresses),
      (error: Error) => callback(error, []),
    )
  }
}

const ofSystem = (hostname: string) => promises.lookup(hostname, { all: true })

/** For all that do not bring their own. */
export const sharedLookup: LookupFunction = createLookup()

type Answer = LookupAddress[] | NodeJS.ErrnoException

const answerOf = (asking: Promise<string[]>, family: 4 | 6): Promise<Answer> =>
  asking.then(
    (addresses) => addresses.map((address) => ({ address, family })),
    (error: NodeJS.ErrnoException) => error,
  )
