// Where commands send events, and with which key.
import { collectProblems, ConfigError, parseSettings, secret } from '../platform/env.ts'
import { apiUrl } from './service-url.ts'

/** What --help says of the key. */
export const API_KEY_HELP =
  'Environment: API_KEY, the secret of a server key, or API_KEY_FILE, a file that holds it: if the API needs one.'

const settings = { API_KEY: secret('Key with which commands send events') }

/** What can stand in a header, without spaces at its ends; every key and every token is such a text. */
const SENDABLE = /^[\x21-\x7e]+$/

export interface EventTarget {
  url: string
  /** Sent as `Authorization: Bearer`. Never to be shown. */
  key: string | undefined
}

/**
 * The API to which to send events.
 *
 * @param given the value of the option for its address, checked
 * @throws {ConfigError} that lists every mistake, without the key
 */
export function eventTarget(given: string | undefined): EventTarget {
  const problems: string[] = []
  const api = collectProblems(problems, () => apiUrl(given))
  const key = collectProblems(problems, () => apiKey(process.env))
  if (api === undefined || problems.length > 0) throw new ConfigError(problems)
  return { url: api.url, key }
}

/** @throws {ConfigError} */
export function apiKey(env: NodeJS.ProcessEnv): string | undefined {
  const { values, problems } = parseSettings(settings, env)
  const { API_KEY: key } = values
  if (key !== undefined && !SENDABLE.test(key))
    problems.push(
      'API_KEY must be one line of ASCII characters without spaces: the secret as "firehose keys create" prints it',
    )
  if (problems.length > 0) throw new ConfigError(problems)
  return key
}
