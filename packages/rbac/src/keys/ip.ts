/** Addresses of callers: which a key may be used from, and which count as one caller. */
import { BlockList, isIP } from 'node:net'

/** An address or a CIDR block, `10.0.0.0/8`, in parts; null for anything else. */
export interface Range {
  address: string
  bits: number
  family: 'ipv4' | 'ipv6'
}

/** IPv4 in the clothes of IPv6 (RFC 4291 §2.5.5.2) is IPv4; a zone (`%eth0`) means nothing to others. Null for no address. */
export function plainAddress(text: string | undefined): { address: string; family: Range['family'] } | null {
  const [address = ''] = (text ?? '').split('%', 1)
  const family = isIP(address)
  if (family === 0) return null
  if (family === 4) return { address, family: 'ipv4' }
  const groups = groupsOf(address)
  const mapped = groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff
  if (!mapped) return { address, family: 'ipv6' }
  const bytes = groups.slice(6).flatMap((group) => [group >> 8, group & 0xff])
  return { address: bytes.join('.'), family: 'ipv4' }
}

/** Null for what is neither an address nor a CIDR block. */
export function parseRange(text: string): Range | null {
  const [written = '', length, ...more] = text.split('/')
  const plain = written.includes('%') ? null : plainAddress(written)
  if (!plain || more.length > 0 || (length !== undefined && !/^\d{1,3}$/.test(length))) return null
  const widest = isIP(written) === 4 ? 32 : 128
  const given = length === undefined ? widest : Number(length)
  // A block of mapped addresses counts its bits from further left.
  const bits = plain.family === 'ipv4' && widest === 128 ? given - 96 : given
  return given > widest || bits < 0 ? null : { ...plain, bits }
}

/** Whether an address is in one of these ranges. An address that is not known is in none. */
export function isWithin(ranges: readonly string[], ip: string | undefined): boolean {
  const caller = plainAddress(ip)
  if (!caller) return false
  const list = new BlockList()
  for (const range of ranges) {
    const parsed = parseRange(range)
    // Node.js takes ::/0 for a block that IPv4 is in as well.
    if (parsed?.family === caller.family) list.addSubnet(parsed.address, parsed.bits, parsed.family)
  }
  return list.check(caller.address, caller.family)
}

/**
 * Who a caller counts as when failures are counted: an IPv4 address, or the /64 that an IPv6 address is in, which is the
 * least that a customer is given (RFC 6177) and of which one may change through 2⁶⁴ addresses.
 */
export function callerOf(ip: string | undefined): string {
  const plain = plainAddress(ip)
  if (!plain) return 'unknown'
  if (plain.family === 'ipv4') return plain.address
  const prefix = groupsOf(plain.address).slice(0, 4)
  return `${prefix.map((group) => group.toString(16)).join(':')}::/64`
}

/** The eight groups of a valid IPv6 address. */
function groupsOf(address: string): number[] {
  // The URL standard writes the last 32 bits in hex, also where they stood as 1.2.3.4.
  const host = new URL(`http://[${address}]`).hostname.slice(1, -1)
  const [left = '', right] = host.split('::')
  const numbers = (text: string | undefined) => (text ? text.split(':').map((group) => Number.parseInt(group, 16)) : [])
  const [head, tail] = [numbers(left), numbers(right)]
  return right === undefined ? head : [...head, ...Array<number>(8 - head.length - tail.length).fill(0), ...tail]
}
