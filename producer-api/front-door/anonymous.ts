/** Whether somebody without a credential may send events. */
import ipaddr from 'ipaddr.js'

/**
 * `no`: a credential is needed. `local`: none is configured, and the API can only be reached from its own machine.
 * `public`: ALLOW_ANONYMOUS was set.
 */
export type Anonymous = 'no' | 'local' | 'public'

export interface Published {
  /** HOST: where the API listens. */
  host: string
  /** PUBLISHED_ADDRESS: where others reach it, if that is somewhere else, as with a container's port. */
  publishedAddress: string | undefined
  allowAnonymous: boolean
  hasCredentials: boolean
}

/** @throws {Error} if nobody needs a credential on an address that others can reach; the message has the remedies */
export function anonymousWriting(published: Published): Anonymous {
  const { host, publishedAddress, allowAnonymous, hasCredentials } = published
  if (allowAnonymous) return 'public'
  if (hasCredentials) return 'no'
  const address = publishedAddress ?? host
  if (isLoopback(address)) return 'local'
  throw new Error(
    `Without keys, anyone who reaches ${address} could write events: set API_KEYS_FILE ("npx firehose keys create" makes the file), JWT_JWKS_URL or JWT_JWKS_FILE; or set ALLOW_ANONYMOUS=true, if anyone may write`,
  )
}

/** Whether an address can be reached from its own machine only. A name other than `localhost` may be any address. */
export function isLoopback(address: string): boolean {
  if (address.toLowerCase() === 'localhost') return true
  const bare = address.startsWith('[') && address.endsWith(']') ? address.slice(1, -1) : address
  return ipaddr.isValid(bare) && ipaddr.process(bare).range() === 'loopback'
}
