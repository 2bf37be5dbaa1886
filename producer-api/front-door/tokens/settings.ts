import { isHttpAddress } from '../../../platform/address.ts'
import { boolean, ConfigError, list, optionalText, type Setting } from '../../../platform/env.ts'
import { isLoopback } from '../anonymous.ts'
import { readJwksFile } from './jwks-source.ts'
import { ALGORITHMS, parseKeySet } from './key-set.ts'
import type { TokenSettings } from './tokens.ts'

/** Which tokens (JWT) clients may send instead of a key. */
export const tokenSettings = {
  JWT_JWKS_URL: optionalText(
    'Where the keys for tokens (JWT) are published: the `jwks_uri` of the issuer. Read again every 5 minutes, or as often as its `max-age` says. `NODE_EXTRA_CA_CERTS` names its certificate authority, unless it is a public one',
  ),
  JWT_JWKS_FILE: optionalText('The same keys in a file, which is read again when it has changed'),
  JWT_ALGORITHMS: list(
    'RS256,ES256,EdDSA',
    `Algorithms that tokens may be signed with, comma-separated: ${ALGORITHMS.map((name) => `\`${name}\``).join(', ')}`,
  ),
  JWT_ISSUER: optionalText(
    'The `iss` that tokens must have, exactly as it stands in them (with the slash at its end, if it has one)',
  ),
  JWT_AUDIENCE: list('', 'The `aud` that tokens must have: one of these, comma-separated'),
  JWT_SUBJECT_IS_USER_ID: boolean(
    false,
    'With `true`, an event that was sent with a token must have the `sub` of the token as `user_id`',
  ),
}

type Values = {
  [K in keyof typeof tokenSettings]: (typeof tokenSettings)[K] extends Setting<infer T> ? T : never
}

/**
 * @returns undefined if tokens are not configured
 * @throws {ConfigError} lists every mistake at once
 */
export function tokenConfig(values: Values): TokenSettings | undefined {
  const { JWT_JWKS_URL: url, JWT_JWKS_FILE: file, JWT_ISSUER: issuer, JWT_AUDIENCE: audience } = values
  const problems: string[] = []
  if (url === undefined && file === undefined) {
    const given = {
      ISSUER: issuer,
      AUDIENCE: audience[0],
      SUBJECT_IS_USER_ID: values.JWT_SUBJECT_IS_USER_ID || undefined,
    }
    for (const [name, value] of Object.entries(given))
      if (value !== undefined) problems.push(`JWT_${name} needs JWT_JWKS_URL or JWT_JWKS_FILE`)
    if (problems.length > 0) throw new ConfigError(problems)
    return undefined
  }
  const algorithms = allowedAlgorithms(values.JWT_ALGORITHMS, problems)
  const keys = keysOf(url, file, algorithms, problems)
  const name = url === undefined ? 'JWT_JWKS_FILE' : 'JWT_JWKS_URL'
  if (issuer === undefined)
    problems.push(`${name} needs JWT_ISSUER, the "iss" that tokens have: other issuers may use the same keys`)
  if (audience.length === 0)
    problems.push(
      `${name} needs JWT_AUDIENCE, the "aud" that tokens have: those for other services must not count`,
    )
  if (problems.length > 0 || keys === undefined || issuer === undefined) throw new ConfigError(problems)
  return { keys, algorithms, issuer, audience, subjectIsUser: values.JWT_SUBJECT_IS_USER_ID }
}

/** Those that are known; the others are mistakes. */
function allowedAlgorithms(names: readonly string[], problems: string[]): readonly string[] {
  if (names.length === 0) problems.push(`JWT_ALGORITHMS must name at least one of ${ALGORITHMS.join(', ')}`)
  for (const name of names) if (!ALGORITHMS.includes(name)) problems.push(`JWT_ALGORITHMS ${refusalOf(name)}`)
  return names.filter((name) => ALGORITHMS.includes(name))
}

function refusalOf(name: string): string {
  if (/^HS\d+$/i.test(name))
    return `cannot have ${name}: whoever can check such a token can also make one. Have the issuer sign with a private key, as with RS256`
  if (/^none$/i.test(name))
    return 'cannot have none: such tokens are not signed. Have the issuer sign them, as with RS256'
  return `must be a list of ${ALGORITHMS.join(', ')}, not "${name}"`
}

function keysOf(
  url: string | undefined,
  file: string | undefined,
  algorithms: readonly string[],
  problems: string[],
): TokenSettings['keys'] | undefined {
  if (url !== undefined && file !== undefined) {
    problems.push('JWT_JWKS_URL and JWT_JWKS_FILE are both set: remove one of them')
    return undefined
  }
  if (file !== undefined) {
    try {
      parseKeySet(readJwksFile(file), algorithms.length === 0 ? ALGORITHMS : algorithms)
    } catch (error) {
      problems.push(`JWT_JWKS_FILE ${(error as Error).message}: ${file}`)
    }
    return { file }
  }
  // Not shown: its query may hold a secret.
  if (url === undefined || !isHttpAddress(url)) {
    problems.push(
      'JWT_JWKS_URL must be an address such as https://login.example.com/jwks.json, without a user',
    )
    return undefined
  }
  const address = new URL(url)
  if (address.protocol === 'http:' && !isLoopback(address.hostname))
    problems.push(
      'JWT_JWKS_URL must begin with https://, unless it is on this machine (127.0.0.1, ::1, localhost): whoever can change what is sent could replace the keys',
    )
  return { url: address }
}
