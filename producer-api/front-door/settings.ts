import { MAX_BURST, MAX_EVENTS_PER_SECOND, MIN_BURST } from '../../access/key-file.ts'
import { keysFileSetting } from '../../access/read-key-file.ts'
import {
  boolean,
  collectProblems,
  ConfigError,
  integer,
  optionalInteger,
  optionalText,
} from '../../platform/env.ts'
import { type Anonymous, anonymousWriting } from './anonymous.ts'
import { tokenConfig, tokenSettings } from './tokens/settings.ts'
import type { TokenSettings } from './tokens/tokens.ts'

/** Who may send events, and how many. */
export const frontDoorSettings = {
  API_KEYS_FILE: keysFileSetting,
  ...tokenSettings,
  ALLOW_ANONYMOUS: boolean(
    false,
    'Whether events are taken without a key or a token. Without any configured, they are, but only on a loopback address: set this to accept them from anyone on any address, or while clients are being given keys',
  ),
  PUBLISHED_ADDRESS: optionalText(
    'Address at which others reach the API, if it is not `HOST`: in a container, the one that its port is published on. Only used to decide whether anyone may write',
  ),
  ADDRESS_REQUESTS_PER_SECOND: optionalInteger(
    1,
    MAX_EVENTS_PER_SECOND,
    'Requests with events per second that each client address may send to this process; above it, the API answers 429. By default no limit',
  ),
  ADDRESS_BURST: integer(
    MIN_BURST,
    MIN_BURST,
    MAX_BURST,
    'How many requests an address that was idle may send at once',
  ),
  KEY_EVENTS_PER_SECOND: optionalInteger(
    1,
    MAX_EVENTS_PER_SECOND,
    'Events per second that each key without a limit of its own, and each subject of tokens, may send to this process; above it, the API answers 429. By default no limit',
  ),
  KEY_BURST: integer(
    MIN_BURST,
    MIN_BURST,
    MAX_BURST,
    'How many events a key or a subject that was idle may send at once',
  ),
}

export interface Limit {
  perSecond: number
  burst: number
}

export interface FrontDoorConfig {
  keysFile: string | undefined
  tokens: TokenSettings | undefined
  anonymous: Anonymous
  addressLimit: Limit | undefined
  /** Of keys without their own, and of the subjects of tokens. */
  keyLimit: Limit | undefined
}

type Values = {
  [K in keyof typeof frontDoorSettings]: ReturnType<(typeof frontDoorSettings)[K]['parse']>
}

/** @throws {ConfigError} lists every mistake at once */
export function frontDoorConfig(values: Values & { HOST: string }): FrontDoorConfig {
  const problems: string[] = []
  const tokens = collectProblems(problems, () => tokenConfig(values))
  const anonymous = collectProblems(problems, () =>
    anonymousWriting({
      host: values.HOST,
      publishedAddress: values.PUBLISHED_ADDRESS,
      allowAnonymous: values.ALLOW_ANONYMOUS,
      hasCredentials: values.API_KEYS_FILE !== undefined || tokens !== undefined,
    }),
  )
  if (problems.length > 0 || anonymous === undefined) throw new ConfigError(problems)
  return {
    keysFile: values.API_KEYS_FILE,
    tokens,
    anonymous,
    addressLimit: limit(values.ADDRESS_REQUESTS_PER_SECOND, values.ADDRESS_BURST),
    keyLimit: limit(values.KEY_EVENTS_PER_SECOND, values.KEY_BURST),
  }
}

function limit(perSecond: number | undefined, burst: number): Limit | undefined {
  return perSecond === undefined ? undefined : { perSecond, burst }
}
