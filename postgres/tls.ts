import { readFileSync } from 'node:fs'
import type { ConnectionOptions } from 'node:tls'
import { ConfigError } from '../platform/env.ts'

/**
 * As in libpq, `prefer` and `allow` also connect without TLS, and check no certificate. Unlike in libpq, `require` checks
 * the server's certificate and its name, as `verify-full` does; `no-verify` does not.
 */
const SSL_MODES = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full', 'no-verify']
const TRUE = new Set(['true', '1'])

/** The ways to connect to one host, in the order in which they are tried; false is without TLS. */
export type TlsModes = readonly (false | ConnectionOptions)[]

/**
 * The TLS settings of a connection string, else those of libpq's variables. Reads the files that they name.
 *
 * @param setting a parameter of the connection string; '' counts as absent
 * @throws {ConfigError}
 */
export function tlsModes(setting: (name: string) => string | undefined): TlsModes {
  const mode = setting('sslmode')
  if (mode !== undefined && !SSL_MODES.includes(mode))
    throw new ConfigError([
      `DATABASE_URL (or PG*) has sslmode=${mode}, which must be one of ${SSL_MODES.join(', ')}`,
    ])
  const files = tlsFiles(setting)
  const unchecked = { ...files, rejectUnauthorized: false }
  switch (mode) {
    case undefined:
      return TRUE.has(setting('ssl') ?? '') || Object.keys(files).length > 0 ? [files] : [false]
    case 'disable':
      return [false]
    case 'allow':
      return [false, unchecked]
    case 'prefer':
      return [unchecked, false]
    case 'no-verify':
      return [unchecked]
    case 'verify-ca':
      // Anyone can get a certificate from a public authority: without an own one, the name must be right too.
      return [files.ca === undefined ? files : { ...files, checkServerIdentity: () => undefined }]
    default:
      return [files]
  }
}

function tlsFiles(setting: (name: string) => string | undefined): ConnectionOptions {
  const problems: string[] = []
  const read = (name: string): Buffer | undefined => {
    const path = setting(name)
    // libpq's word for the certificate authorities of the system, which are the default here.
    if (path === undefined || (name === 'sslrootcert' && path === 'system')) return undefined
    try {
      return readFileSync(path)
    } catch (error) {
      const { code } = error as { code?: string }
      problems.push(`DATABASE_URL (or PG*) has ${name}=${path}, a file that cannot be read (${code})`)
      return undefined
    }
  }
  const [ca, cert, key] = [read('sslrootcert'), read('sslcert'), read('sslkey')]
  const passphrase = setting('sslpassword')
  if (problems.length > 0) throw new ConfigError(problems)
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(passphrase === undefined ? {} : { passphrase }),
  }
}
