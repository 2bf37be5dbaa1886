import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { onEndRequest } from '../../platform/signals.ts'

/** How long psql may take to end by itself after its query was cancelled. */
const CANCEL_LIMIT_MS = 1_000

/** How a run of psql has ended. */
export interface PsqlExit {
  /** 0: well. 2: it could not connect, or lost its connection. Null if a signal has ended it. */
  code: number | null
  /** Ended by a request to stop. */
  stopped: boolean
}

/**
 * Runs psql on a database, with this terminal: one statement, or what is typed. Ctrl-C then does what it does in psql: it
 * cancels the query that runs.
 *
 * @returns undefined if there is no psql here that can do it
 */
export async function runPsql(url: string, statement: string): Promise<PsqlExit | undefined> {
  const { uri, env } = psqlTarget(url, process.env)
  if (uri.includes(SYSTEM_ROOTS) && !knowsSystemRoots()) return undefined
  const args = statement === '' ? [uri] : ['-c', statement, uri]
  const psql = spawn('psql', args, { stdio: 'inherit', env: { ...process.env, ...env } })
  const isTyped = statement === '' && process.stdin.isTTY
  let stopped = false
  const end = (cause: string): void => {
    if (isTyped && cause === 'SIGINT') return // the terminal has sent it to psql too
    stopped = true
    psql.kill('SIGINT')
    setTimeout(() => psql.kill('SIGTERM'), CANCEL_LIMIT_MS).unref()
  }
  onEndRequest({ first: end, again: end })
  try {
    const [code] = (await once(psql, 'close')) as [number | null]
    return { code, stopped }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** The certificate authorities that the system trusts, as the driver does; from libpq 16 on. */
const SYSTEM_ROOTS = 'sslrootcert=system'

function knowsSystemRoots(): boolean {
  const { stdout } = spawnSync('psql', ['--version'], { encoding: 'utf8' })
  return Number(/\d+/.exec(stdout ?? '')?.[0] ?? 0) >= 16
}

/** What our modes are in libpq, where `require` alone checks no certificate. */
const CHECKED = ['require', 'verify-ca', 'verify-full']

/**
 * A connection string as psql takes it, and the variables beside it: the password must not be on a command line, which
 * others can read. Pure.
 */
export function psqlTarget(
  url: string,
  env: NodeJS.ProcessEnv,
): { uri: string; env: Record<string, string> } {
  const [, start = '', query = ''] = /^([^?]*)\??(.*)$/.exec(url || 'postgresql://') ?? []
  const [, scheme = '', user = '', password, rest = ''] =
    /^(\w+:\/\/)(?:([^:@/]*)(?::([^@/]*))?@)?(.*)$/.exec(start) ?? []
  const parameters = new URLSearchParams(query)
  const secret =
    parameters.get('password') ?? (password === undefined ? undefined : decodeURIComponent(password))
  parameters.delete('password')
  const mode = parameters.get('sslmode') ?? env.PGSSLMODE
  if (mode === 'no-verify') parameters.set('sslmode', 'require')
  if (mode !== undefined && CHECKED.includes(mode)) {
    parameters.set('sslmode', 'verify-full')
    if (!parameters.has('sslrootcert') && !env.PGSSLROOTCERT) parameters.set('sslrootcert', 'system')
  }
  const text = parameters.toString().replaceAll('+', '%20')
  return {
    uri: `${scheme}${user === '' ? '' : `${user}@`}${rest}${text === '' ? '' : `?${text}`}`,
    env: {
      PGAPPNAME: 'firehose-sql',
      PGCONNECT_TIMEOUT: '5',
      ...(secret === undefined ? {} : { PGPASSWORD: secret }),
    },
  }
}
