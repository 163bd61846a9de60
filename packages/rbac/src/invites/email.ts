/** E-mail addresses as they are compared: one mailbox, one text. */
import { domainToASCII } from 'node:url'

/** The longest address that a mail server takes (RFC 5321 §4.5.3.1.3, erratum 1690). */
const maxLength = 254

/** A host name after IDNA: letters, digits, hyphens and underscores between dots. */
const hostName = /^[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*$/

/**
 * A domain in ASCII and lower case, as UTS #46 maps it: `Münch.example` → `xn--mnch-0ra.example`. Null for what is no
 * domain by itself, such as a URL's worth of text, of which the URL parser would read the beginning.
 */
export function domainOf(text: string): string | null {
  if (/[\s\p{Cc}/\\?#:@%[\]]/u.test(text)) return null
  const ascii = domainToASCII(text)
  return hostName.test(ascii) && ascii.length <= 253 ? ascii : null
}

export interface Address {
  /** For comparing: ASCII letters in lower case, the domain in ASCII. */
  normal: string
  domain: string
}

/**
 * An address taken apart at its only `@`: mailers do not agree on whose `"x@evil.com"@acme.com` is, and a proof that went
 * to evil.com must not count for acme.com. Only ASCII letters are the same in both cases before the `@`: Unicode has
 * letters that become another's when their case is changed, and mail servers deliver those to somebody else. Null for
 * what is no address.
 */
export function addressOf(text: string): Address | null {
  const trimmed = text.trim()
  const at = trimmed.lastIndexOf('@')
  const local = trimmed.slice(0, Math.max(at, 0))
  const domain = domainOf(trimmed.slice(at + 1))
  if (local === '' || domain === null || trimmed.length > maxLength || /[\s\p{Cc}\p{Cs}@]/u.test(local)) return null
  return { normal: `${local.replace(/[A-Z]/g, (letter) => letter.toLowerCase())}@${domain}`, domain }
}

/** For a page that anybody with the link sees: `o***@acme.com`. */
export function masked(email: string): string {
  const at = email.lastIndexOf('@')
  const [first = ''] = email
  return `${first}***${email.slice(at)}`
}
