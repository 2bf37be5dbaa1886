/** Network addresses in the binary format of PostgreSQL's inet (src/backend/utils/adt/network.c). */
import { isIPv4, isIPv6 } from 'node:net'
import ipaddr from 'ipaddr.js'

const FAMILY_IPV4 = 2
const FAMILY_IPV6 = 3

/** The most bytes of an address: four, and those of IPv6. */
export const INET_BYTES = 20

/**
 * An address, or a network such as `203.0.113.0/24`, as inet_send() writes it: family, bits of the netmask, 0 for inet
 * (1 is cidr), length of the address, and the address. Undefined if the text is neither.
 */
export function parseInet(text: string): Buffer | undefined {
  const slash = text.indexOf('/')
  const address = slash < 0 ? text : text.slice(0, slash)
  const bytes = addressBytes(address)
  if (bytes === undefined) return undefined
  const most = bytes.length * 8
  const bits = slash < 0 ? most : prefixLength(text.slice(slash + 1), most)
  if (bits === undefined) return undefined
  const family = bytes.length === 4 ? FAMILY_IPV4 : FAMILY_IPV6
  return Buffer.from([family, bits, 0, bytes.length, ...bytes])
}

function addressBytes(text: string): number[] | undefined {
  if (isIPv4(text)) return text.split('.').map(Number)
  // PostgreSQL has no zones, such as that of fe80::1%eth0.
  return isIPv6(text) && !text.includes('%') ? ipaddr.IPv6.parse(withHexTail(text)).toByteArray() : undefined
}

/** A valid IPv6 address with its IPv4 end, if it has one, in hexadecimal: the library reads `::1.2.3.4` as IPv4-mapped. */
export function withHexTail(text: string): string {
  return text.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_, a: string, b: string, c: string, d: string) => {
    const pair = (high: string, low: string): string => (Number(high) * 256 + Number(low)).toString(16)
    return `${pair(a, b)}:${pair(c, d)}`
  })
}

function prefixLength(text: string, most: number): number | undefined {
  return /^(0|[1-9]\d{0,2})$/.test(text) && Number(text) <= most ? Number(text) : undefined
}
