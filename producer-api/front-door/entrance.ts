import type { IncomingMessage } from 'node:http'
import type { KeyStore } from '../../access/key-store.ts'
import type { Logger } from '../../platform/log.ts'
import { FrontDoor } from './front-door.ts'
import { AddressLimit, KeyLimits, SubjectLimit } from './limits/limits.ts'
import type { FrontDoorConfig, Limit } from './settings.ts'
import { Tokens } from './tokens/tokens.ts'

export interface EntranceParts {
  keys: KeyStore | undefined
  addressOf: (request: IncomingMessage) => string | undefined
  isForeign: (request: IncomingMessage) => boolean
  logger: Logger
}

/** The front door with what changes while it is open: the key file and the keys of tokens. */
export interface Entrance {
  frontDoor: FrontDoor
  keys: KeyStore | undefined
  tokens: Tokens | undefined
  /** For /health. */
  health: () => object
  /** Starts to watch the key file and to fetch the keys of tokens. */
  open: () => void
  close: () => void
}

/** Wires the front door. */
export function createEntrance(config: FrontDoorConfig, parts: EntranceParts): Entrance {
  const { keys, addressOf, isForeign, logger } = parts
  const { anonymous, addressLimit, keyLimit } = config
  const tokens = config.tokens && new Tokens(config.tokens, logger)
  const frontDoor = new FrontDoor({
    keys,
    tokens,
    subjectIsUser: config.tokens?.subjectIsUser ?? false,
    isAnonymous: anonymous !== 'no',
    addressOf,
    addressLimit: limitOf(AddressLimit, addressLimit),
    keyLimits: new KeyLimits(keyLimit),
    subjectLimit: limitOf(SubjectLimit, keyLimit),
    isForeign,
  })
  return {
    frontDoor,
    keys,
    tokens,
    health: () => ({ anonymous, keys: keys?.status, tokens: tokens?.status }),
    open: () => {
      if (anonymous === 'public') logger.warn(ANYONE_MAY_WRITE)
      keys?.watch()
      tokens?.start()
    },
    close: () => {
      keys?.close()
      tokens?.close()
    },
  }
}

const ANYONE_MAY_WRITE =
  'ALLOW_ANONYMOUS is true: anyone who reaches this address may write events; unset it once all clients have keys'

function limitOf<L>(
  Kind: new (perSecond: number, burst: number) => L,
  limit: Limit | undefined,
): L | undefined {
  return limit && new Kind(limit.perSecond, limit.burst)
}
