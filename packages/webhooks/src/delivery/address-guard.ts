/**
 * Which addresses a delivery may reach: the public internet, and what the host allows by name. Judged on literals when
 * an endpoint is registered, and on every resolved address when a connection is made, so that a name which changes its
 * mind in between (DNS rebinding) gains nothing.
 */
import { BlockList, isIP } from 'node:net'
import { coreErrors } from '@org/core'

// The IANA special-purpose registries (RFC 6890), multicast, and what embeds IPv4 addresses.
const forbiddenV4 = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
]
const forbiddenV6 = [
  '::/96',
  '::1/128',
  '::ffff:0:0:0/96',
  '64:ff9b::/96',
  '64:ff9b:1::/48',
  '100::/64',
  '2001::/23',
  '2001:db8::/32',
  '2002::/16',
  '3fff::/20',
  '5f00::/16',
  'fc00::/7',
  'fe80::/10',
  'fec0::/10',
  'ff00::/8',
]

/** A list over which nobody writes after it is made. */
function blockListOf(cidrs: readonly string[]): BlockList {
  const list = new BlockList()
  for (const cidr of cidrs) {
    const [address = '', length, ...rest] = cidr.split('/')
    const family = isIP(address)
    const bits = length === undefined ? (family === 4 ? 32 : 128) : Number(length)
    const valid = family !== 0 && rest.length === 0 && (length === undefined || /^\d{1,3}$/.test(length))
    if (!valid || bits > (family === 4 ? 32 : 128)) {
      throw coreErrors.setup_error({ detail: `"${cidr}" in \`network.allow\` is not an address or a CIDR.` })
    }
    list.addSubnet(address, bits, family === 4 ? 'ipv4' : 'ipv6')
  }
  return list
}

const publicOnly = {
  v4: blockListOf(forbiddenV4),
  v6: blockListOf(forbiddenV6),
  mapped: blockListOf(['::ffff:0:0/96']),
}

/**
 * Whether an IP address is on the public internet: the delivery engine's own check. An IPv4-mapped IPv6 address is
 * judged as the IPv4 address in it. False for anything that is not an IP address in its plain notation.
 */
export function isAllowedAddress(ip: string): boolean {
  const family = isIP(ip)
  if (family === 0 || ip.includes('%')) return false
  // A rule over IPv4 addresses also matches the mapped ones.
  if (family === 4) return !publicOnly.v4.check(ip, 'ipv4')
  if (publicOnly.mapped.check(ip, 'ipv6')) return !publicOnly.v4.check(ip, 'ipv6')
  return !publicOnly.v6.check(ip, 'ipv6')
}

/** What the host allows, next to the public internet. */
export interface AddressPolicy {
  allow?: readonly string[]
  allowHttp?: boolean
}

/** The host's policy, ready to be asked. */
export interface AddressGuard {
  /** Whether a connection may go there. Plain HTTP goes only to addresses that the host named. */
  allows(ip: string, protocol: 'http:' | 'https:'): boolean
  readonly allowHttp: boolean
}

/** @throws ProblemError `setup_error` for something that is not a CIDR. */
export function createAddressGuard(policy: AddressPolicy): AddressGuard {
  const named = blockListOf(policy.allow ?? [])
  const isNamed = (ip: string) => {
    const family = isIP(ip)
    return family !== 0 && !ip.includes('%') && named.check(ip, family === 4 ? 'ipv4' : 'ipv6')
  }
  const allowHttp = policy.allowHttp === true
  return {
    allowHttp,
    allows: (ip, protocol) => (protocol === 'https:' ? isAllowedAddress(ip) || isNamed(ip) : allowHttp && isNamed(ip)),
  }
}
