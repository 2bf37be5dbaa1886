import type { ClientConfig } from 'pg'
import { ConfigError } from '../platform/env.ts'
import { tlsModes } from './tls.ts'

/** A server to try, and the ways to connect to it, in order. */
export interface PlannedHost {
  /** `host:port`, for people. */
  name: string
  ways: ClientConfig[]
}

/** What a connection string says: which servers are tried, how, and which of them will do. Pure but for TLS files. */
export interface ConnectionPlan {
  hosts: PlannedHost[]
  /** target_session_attrs: whether a server that accepts no writes is passed over. */
  mustAcceptWrites: boolean
}

const URL_PARTS = /^postgres(?:ql)?:\/\/(?:([^/?#]*)@)?([^/?#]*)(?:\/([^?#]*))?(?:\?([^#]*))?(?:#.*)?$/
const HOST_AND_PORT = /^(\[[^\]]*\]|[^:[\]]*)(?::(\d*))?$/
const DEFAULT_PORT = 5432
/** Parameters that this file or tls.ts reads; all others go to the driver. */
const OWN_PARAMETERS = new Set([
  'host',
  'port',
  'user',
  'password',
  'dbname',
  'target_session_attrs',
  'ssl',
  'sslmode',
  'sslrootcert',
  'sslcert',
  'sslkey',
  'sslpassword',
])

/**
 * Reads a connection string as libpq does, with several hosts and their failover, which the driver does not know. What the
 * string does not say is taken from libpq's `PG*` variables, by the driver or here; an empty string says nothing.
 *
 * @throws {ConfigError} that never contains the password
 */
export function planConnection(connectionString: string, env: NodeJS.ProcessEnv): ConnectionPlan {
  const parts = URL_PARTS.exec(connectionString || 'postgresql://')
  if (parts === null)
    throw new ConfigError(['DATABASE_URL must be postgresql://user:password@host:port/database'])
  const [, userInfo = '', authority = '', path = '', query = ''] = parts
  const parameters = parametersOf(query)
  const setting = (name: string, variable?: string): string | undefined =>
    parameters.get(name) || (variable === undefined ? undefined : env[variable]) || undefined
  const [user, password] = splitOnce(userInfo, ':').map(decode)
  const common: ClientConfig = {
    ...Object.fromEntries([...parameters].filter(([name]) => !OWN_PARAMETERS.has(name))),
    ...present({
      user: parameters.get('user') || user,
      password: parameters.get('password') || password,
      database: parameters.get('dbname') || decode(path),
    }),
  }
  const modes = tlsModes((name) => setting(name, `PG${name.toUpperCase()}`))
  const hosts = hostsOf(authority, setting('host', 'PGHOST'), setting('port', 'PGPORT')).map(
    ({ host, port }): PlannedHost => ({
      name: `${host.includes(':') ? `[${host}]` : host}:${port}`,
      // As in libpq, there is no TLS on a Unix socket.
      ways: (host.startsWith('/') ? [false as const] : modes).map((ssl) => ({ ...common, host, port, ssl })),
    }),
  )
  return {
    hosts,
    mustAcceptWrites: mustAcceptWrites(setting('target_session_attrs', 'PGTARGETSESSIONATTRS')),
  }
}

/** The hosts of the address, else those of the parameter; ports are given one for each host, or one for all. */
function hostsOf(
  authority: string,
  hostList: string | undefined,
  portList: string | undefined,
): { host: string; port: number }[] {
  const ports = (portList ?? '').split(',')
  const named =
    authority === ''
      ? (hostList ?? 'localhost').split(',').map((host) => [host, ''])
      : authority.split(',').map(hostAndPort)
  if (ports.length > 1 && ports.length !== named.length)
    throw new ConfigError([`DATABASE_URL (or PG*) has ${named.length} hosts but ${ports.length} ports`])
  return named.map(([host = '', port = ''], index) => {
    const number = Number(port || (ports.length > 1 ? ports[index] : ports[0]) || DEFAULT_PORT)
    if (!(number >= 1 && number <= 65_535))
      throw new ConfigError([`DATABASE_URL (or PG*) has the port ${number}, which must be from 1 to 65535`])
    return { host: decode(host).replace(/^\[(.*)\]$/, '$1') || 'localhost', port: number }
  })
}

function hostAndPort(text: string): string[] {
  const [, host, port] = HOST_AND_PORT.exec(text) ?? []
  if (host === undefined)
    throw new ConfigError(['DATABASE_URL must be postgresql://user:password@host:port/database'])
  return [host, port ?? '']
}

function mustAcceptWrites(attributes: string | undefined): boolean {
  if (attributes === undefined || attributes === 'any') return false
  if (attributes === 'read-write' || attributes === 'primary') return true
  throw new ConfigError([
    `DATABASE_URL (or PG*) has target_session_attrs=${attributes}, which must be any, read-write or primary: Firehose writes`,
  ])
}

/** A percent sign that begins no escape stands for itself. */
function decode(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll(/%(?![0-9a-f]{2})/gi, '%25'))
  } catch {
    throw new ConfigError(['DATABASE_URL has percent escapes that are not UTF-8'])
  }
}

/** The parameters of a connection string. A plus sign stands for itself, as in libpq. */
export function parametersOf(query: string): URLSearchParams {
  return new URLSearchParams(query.replaceAll('+', '%2B'))
}

export function splitOnce(text: string, separator: string): [string, string] {
  const at = text.indexOf(separator)
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)]
}

/** Without empty values, which the driver would not replace by its own defaults. */
function present(values: Record<string, string | undefined>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(values).filter((entry): entry is [string, string] => Boolean(entry[1])),
  )
}
