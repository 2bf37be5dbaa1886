/** IP addresses and networks. An IPv4-mapped IPv6 address is the IPv4 address, and zones (`%eth0`) are dropped. */
import { isIP } from 'node:net'
import ipaddr from 'ipaddr.js'
import { withHexTail } from '../../event/inet.ts'

/** Its text is canonical: RFC 5952 for IPv6. */
export type Address = ipaddr.IPv4 | ipaddr.IPv6
/** An address, and the number of its bits that all addresses of the network share. */
export type Network = readonly [Address, number]

const BITS = { ipv4: 32, ipv6: 128 }
/** Length of `::ffff:0:0/96`. */
const MAPPED_BITS = 96
const MAPPED = 0xffff
const DOT = 0x2e
const COLON = 0x3a
const NINE = 0x39

/** Undefined if the text is no address. Strict: no octal or hexadecimal numbers, no missing parts. */
export function parseAddress(text: string): Address | undefined {
  const version = isIP(text)
  // The library's parsers take many times as long, and behind proxies several addresses are read for each request.
  if (version === 4) return new ipaddr.IPv4(ipv4Parts(text))
  if (version !== 6) return undefined
  const zone = text.indexOf('%')
  const bare = zone < 0 ? text : text.slice(0, zone)
  return unmapped(new ipaddr.IPv6(ipv6Parts(bare.includes('.') ? withHexTail(bare) : bare)))
}

/** The four parts of a valid IPv4 address. */
function ipv4Parts(text: string): number[] {
  const parts = [0, 0, 0, 0]
  let at = 0
  for (let i = 0; i < text.length; i++) {
    const char = text.charCodeAt(i)
    if (char === DOT) at++
    else parts[at] = parts[at]! * 10 + (char & 0xf)
  }
  return parts
}

/** The eight parts of a valid IPv6 address without an IPv4 one at its end. */
export function ipv6Parts(text: string): number[] {
  const parts = [0, 0, 0, 0, 0, 0, 0, 0]
  let at = 0
  let gap = -1
  for (let i = 0; i < text.length; i++) {
    const char = text.charCodeAt(i)
    if (char !== COLON) {
      parts[at] = parts[at]! * 16 + (char & 0xf) + (char > NINE ? 9 : 0)
    } else if (text.charCodeAt(i + 1) === COLON) {
      gap = ++at
      i++
    } else {
      at++
    }
  }
  const missing = 7 - at
  if (gap < 0 || missing === 0) return parts
  // What follows the gap belongs at the end.
  for (let i = at; i >= gap; i--) {
    parts[i + missing] = parts[i]!
    parts[i] = 0
  }
  return parts
}

function unmapped(address: ipaddr.IPv6): Address {
  const { parts } = address
  if (parts[5] !== MAPPED || parts[0] || parts[1] || parts[2] || parts[3] || parts[4]) return address
  return address.toIPv4Address()
}

/** A network in CIDR notation, or a single address; undefined if the text is neither. */
export function parseNetwork(text: string): Network | undefined {
  const [addressText = '', prefix, ...rest] = text.split('/')
  const address = parseAddress(addressText)
  if (address === undefined || rest.length > 0) return undefined
  const most = BITS[address.kind()]
  if (prefix === undefined) return [address, most]
  const isMapped = most === BITS.ipv4 && addressText.includes(':')
  const bits = /^\d{1,3}$/.test(prefix) ? Number(prefix) - (isMapped ? MAPPED_BITS : 0) : -1
  return bits >= 0 && bits <= most ? [address, bits] : undefined
}

export function isWithin(networks: readonly Network[], address: Address): boolean {
  const kind = address.kind()
  for (const [base, bits] of networks) if (base.kind() === kind && address.match(base, bits)) return true
  return false
}

/** The network that a truncated address stands for: /24 of IPv4, /48 of IPv6. */
export function networkText(address: Address): string {
  if (address.kind() === 'ipv4') {
    const [a, b, c] = address.toByteArray()
    return `${a}.${b}.${c}.0/24`
  }
  const [a = 0, b = 0, c = 0] = (address as ipaddr.IPv6).parts
  return `${new ipaddr.IPv6([a, b, c, 0, 0, 0, 0, 0]).toString()}/48`
}
