import { isIPv6 } from 'node:net'
import { shownAddress } from '../platform/address.ts'

/** Kafka's names of what a listener speaks (security.protocol of its own clients). */
const PROTOCOLS = ['PLAINTEXT', 'SSL', 'SASL_PLAINTEXT', 'SASL_SSL'] as const
export type Protocol = (typeof PROTOCOLS)[number]

export interface Servers {
  /** `host:port` or `[IPv6]:port`, as given, without protocols. */
  brokers: string[]
  /** What all of them begin with, such as `SASL_SSL://`; undefined if they do not say it. */
  protocol: Protocol | undefined
}

const FORM = /^(?:(?<protocol>[^:/]*):\/\/)?(?<host>\[[^[\]]*\]|[\w.-]+):(?<port>\d+)$/
const NAME = 'KAFKA_BOOTSTRAP_SERVERS'

/** Understands the addresses of brokers; mistakes are added to `problems`. Pure. */
export function parseServers(list: readonly string[], problems: string[]): Servers {
  if (list.length === 0) problems.push(`${NAME} must name a broker`)
  const protocols = new Set<string | undefined>()
  const brokers = list.map((given) => {
    const { protocol, host = '', port = '' } = FORM.exec(given)?.groups ?? {}
    const shown = shownAddress(given)
    if (host === '' || (host.startsWith('[') && !isIPv6(host.slice(1, -1))))
      problems.push(`${NAME} must be host:port or [IPv6 address]:port, not ${shown}`)
    else if (Number(port) < 1 || Number(port) > 65_535)
      problems.push(`${NAME} must have ports from 1 to 65535, not ${shown}`)
    protocols.add(protocol)
    return `${host}:${port}`
  })
  const [protocol] = protocols
  const unknown = [...protocols].find((name) => name !== undefined && !isProtocol(name))
  if (unknown !== undefined)
    problems.push(
      `${NAME} begins with "${unknown}://", which must be one of ${PROTOCOLS.join(', ')}, or nothing`,
    )
  else if (protocols.size > 1) problems.push(`${NAME} must begin with the same protocol for each broker`)
  return { brokers, protocol: protocol !== undefined && isProtocol(protocol) ? protocol : undefined }
}

function isProtocol(name: string): name is Protocol {
  return (PROTOCOLS as readonly string[]).includes(name)
}
