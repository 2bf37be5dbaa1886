/**
 * The address of a client: that of its connection or, behind proxies, what they report in a header.
 *
 * Each proxy appends the address that it was connected from. So the header is read from the right, and only as long as
 * the address that reported the next one is a trusted proxy: what stands further to the left may be forged.
 */
import type { IncomingMessage } from 'node:http'
import { type Address, isWithin, type Network, parseAddress } from './ip-address.ts'

export interface Proxies {
  /** The name of the header in lower case. */
  header: string
  trusted: readonly Network[]
}

/** More proxies than anyone has in a row: whatever a header holds, no more of its entries are read. */
const MAX_ENTRIES = 32
/** `1.2.3.4:5678`, `[::1]`, `[::1]:5678`. */
const WITH_PORT = /^(?:\[([^\]]+)\]|([^:]+))(?::\d{1,5})?$/
const MAPPED_PREFIX = '::ffff:'

/**
 * The function that finds the canonical address of a request's client; undefined if the client has reset the connection:
 * the request can still be read then, but the operating system has forgotten the address.
 *
 * @param proxies undefined: only connections count
 */
export function clientAddress(
  proxies: Proxies | undefined,
): (request: IncomingMessage) => string | undefined {
  if (proxies === undefined) return ({ socket }) => socketAddress(socket.remoteAddress)
  return ({ socket, rawHeaders }) => addressBehind(proxies, socket.remoteAddress, rawHeaders)
}

/**
 * The client's canonical address behind proxies.
 *
 * @param peer the address of the connection
 * @param rawHeaders names and values in turn, as they were received
 */
export function addressBehind(
  { header, trusted }: Proxies,
  peer: string | undefined,
  rawHeaders: readonly string[],
): string | undefined {
  const connected = parseAddress(peer ?? '')
  if (connected === undefined) return undefined
  let client = connected
  let entries = 0
  for (const entry of fromTheRight(rawHeaders, header)) {
    if (++entries > MAX_ENTRIES || !isWithin(trusted, client)) break
    if (entry === '') continue // an empty element of a list means nothing (RFC 9110, 5.6.1)
    const next = entryAddress(entry)
    if (next === undefined) break
    client = next
  }
  return client.toString()
}

/** The entries of a header, the last one first. Not from `headers`, where Node drops repetitions of some names. */
function* fromTheRight(rawHeaders: readonly string[], name: string): Generator<string> {
  for (let i = rawHeaders.length - 2; i >= 0; i -= 2) {
    const candidate = rawHeaders[i]!
    if (candidate.length !== name.length || candidate.toLowerCase() !== name) continue
    const value = rawHeaders[i + 1]!
    for (let end = value.length; end >= 0; ) {
      const comma = end === 0 ? -1 : value.lastIndexOf(',', end - 1)
      yield value.slice(comma + 1, end).trim()
      end = comma
    }
  }
}

function entryAddress(entry: string): Address | undefined {
  const address = parseAddress(entry)
  if (address !== undefined) return address
  const [, bracketed, unbracketed = ''] = WITH_PORT.exec(entry) ?? []
  return parseAddress(bracketed ?? unbracketed)
}

/** What the operating system writes is canonical, except that an IPv6 socket maps IPv4 addresses and adds zones. */
function socketAddress(address: string | undefined): string | undefined {
  if (address === undefined) return undefined
  if (address.startsWith(MAPPED_PREFIX)) return address.slice(MAPPED_PREFIX.length)
  const zone = address.indexOf('%')
  return zone < 0 ? address : address.slice(0, zone)
}
