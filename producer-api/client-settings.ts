import { ConfigError, list, text } from '../platform/env.ts'
import type { ClientCapture } from './http/client-facts.ts'
import type { Proxies } from './http/client-address.ts'
import { type Network, parseNetwork } from './http/ip-address.ts'

/** What is stored about clients, and where their addresses come from. */
export const clientSettings = {
  CAPTURE_CLIENT: list(
    '',
    'What is stored about the client of each event, comma-separated: `ip` (its address) or `ip-truncated` (only the network: /24 of IPv4, /48 of IPv6), `user_agent`. By default nothing',
  ),
  CLIENT_ADDRESS_HEADER: text(
    '',
    'Behind proxies: the header in which they list addresses, such as `X-Forwarded-For`. By default, the address of a client is that of its connection',
  ),
  TRUST_PROXY: list(
    '',
    'The proxies whose `CLIENT_ADDRESS_HEADER` counts: addresses and networks, comma-separated, such as `10.0.0.0/8`; also `loopback` (127.0.0.0/8, ::1) and `private` (RFC 1918, fc00::/7)',
  ),
}

interface ClientValues {
  CAPTURE_CLIENT: readonly string[]
  CLIENT_ADDRESS_HEADER: string
  TRUST_PROXY: readonly string[]
}

const CAPTURES = ['ip', 'ip-truncated', 'user_agent']
const NAMED_NETWORKS: Record<string, readonly string[]> = {
  loopback: ['127.0.0.0/8', '::1'],
  private: ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7'],
}
/** A name of a header (RFC 9110, 5.1). */
const HEADER_NAME = /^[\w!#$%&'*+.^`|~-]+$/

/** @throws {ConfigError} lists every mistake at once */
export function clientConfig(values: ClientValues): ClientCapture {
  const problems: string[] = []
  const captured = captures(values.CAPTURE_CLIENT, problems)
  const proxies = proxiesOf(values, problems)
  if (problems.length > 0) throw new ConfigError(problems)
  const address = captured.has('ip') ? 'whole' : captured.has('ip-truncated') ? 'network' : 'none'
  return { address, userAgent: captured.has('user_agent'), proxies }
}

function captures(items: readonly string[], problems: string[]): Set<string> {
  const words = new Set(items.map((item) => item.toLowerCase()))
  for (const word of words) {
    if (!CAPTURES.includes(word)) {
      problems.push(`CAPTURE_CLIENT must be a list of ${CAPTURES.join(', ')}, not "${word}"`)
    }
  }
  if (words.has('ip') && words.has('ip-truncated')) {
    problems.push('CAPTURE_CLIENT must have either ip or ip-truncated, not both')
  }
  return words
}

function proxiesOf(values: ClientValues, problems: string[]): Proxies | undefined {
  const { CLIENT_ADDRESS_HEADER: name, TRUST_PROXY: items } = values
  const header = name.toLowerCase()
  const trusted = items.flatMap((item) => networks(item, problems))
  if (header !== '' && !HEADER_NAME.test(header)) {
    problems.push(
      `CLIENT_ADDRESS_HEADER must be the name of one header, such as X-Forwarded-For, not "${name}"`,
    )
  } else if (header === 'forwarded') {
    problems.push(
      'CLIENT_ADDRESS_HEADER cannot be Forwarded (RFC 7239): have the proxies send X-Forwarded-For, and name that',
    )
  }
  if (header !== '' && items.length === 0) {
    problems.push(
      'CLIENT_ADDRESS_HEADER needs TRUST_PROXY, the networks of the proxies, such as 10.0.0.0/8 or loopback: anyone else could forge the header',
    )
  }
  if (header === '' && items.length > 0) {
    problems.push(
      'TRUST_PROXY needs CLIENT_ADDRESS_HEADER, the header in which the proxies list addresses, such as X-Forwarded-For',
    )
  }
  return header === '' ? undefined : { header, trusted }
}

function networks(item: string, problems: string[]): Network[] {
  const texts = NAMED_NETWORKS[item.toLowerCase()] ?? [item]
  return texts.flatMap((one) => {
    const network = parseNetwork(one)
    if (network !== undefined) return [network]
    problems.push(
      `TRUST_PROXY must be a list of addresses and networks such as 10.0.0.0/8, of loopback or private, not "${item}"`,
    )
    return []
  })
}
