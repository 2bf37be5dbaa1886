import pg from 'pg'
import { FirehoseError } from '../platform/errors.ts'
import { type PlannedHost, planConnection } from './connection-plan.ts'

/** How long connecting to one server, and each question about it, may take. */
export const CONNECT_TIMEOUT_MS = 5_000

/** Node's codes for a server to which there is no connection at all. */
const UNREACHABLE = new Set([
  'ECONNREFUSED',
  'EHOSTDOWN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ENOENT', // no Unix socket
])

/** None of several servers will do: all are down, or a failover is under way. */
class NoServerError extends FirehoseError {
  constructor(failures: readonly string[]) {
    super(`no server of DATABASE_URL can be used (${failures.join('; ')})`, {
      code: 'NO_SERVER',
      retryable: true,
      needsPerson: false,
    })
  }
}

/** The server accepts no writes, but target_session_attrs asks for one that does. */
class ReadOnlyServerError extends FirehoseError {
  constructor() {
    super('it accepts no writes, which target_session_attrs asks for', {
      code: 'READ_ONLY_SERVER',
      retryable: true,
      needsPerson: false,
    })
  }
}

/**
 * Connects to the first server of a connection string that will do, as libpq does: the hosts in their order, and each in
 * its ways, with or without TLS (connection-plan.ts).
 *
 * @param options of the driver; made anew for each attempt, because each may need a socket of its own
 * @throws the driver's error; of several hosts, one that tells what each answered, unless one refused the user
 */
export async function connect(
  connectionString: string,
  options: () => pg.ClientConfig = () => ({}),
): Promise<pg.Client> {
  const { hosts, mustAcceptWrites } = planConnection(connectionString, process.env)
  const failures: string[] = []
  for (const host of hosts) {
    try {
      return await connectTo(host, options, mustAcceptWrites)
    } catch (error) {
      if (hosts.length === 1 || refusesUser(error)) throw error
      failures.push(`${host.name}: ${messageOf(error)}`)
    }
  }
  throw new NoServerError(failures)
}

async function connectTo(
  { ways }: PlannedHost,
  options: () => pg.ClientConfig,
  mustAcceptWrites: boolean,
): Promise<pg.Client> {
  for (const [index, way] of ways.entries()) {
    const client = new pg.Client({ connectionTimeoutMillis: CONNECT_TIMEOUT_MS, ...way, ...options() })
    client.on('error', () => {}) // the call that runs is rejected with the same error
    try {
      await client.connect()
      if (mustAcceptWrites && !(await acceptsWrites(client))) throw new ReadOnlyServerError()
      return client
    } catch (error) {
      void client.end().catch(() => {})
      if (index === ways.length - 1 || !isAboutTls(error)) throw error
    }
  }
  throw new Error('a server without a way to connect to it')
}

/** libpq's test for target_session_attrs=read-write. */
async function acceptsWrites(client: pg.Client): Promise<boolean> {
  const query = {
    text: `SELECT NOT pg_is_in_recovery() AND current_setting('transaction_read_only') = 'off' AS writable`,
    query_timeout: CONNECT_TIMEOUT_MS, // a frozen server accepts connections
  }
  return (await client.query<{ writable: boolean }>(query)).rows[0]?.writable === true
}

/** Whether another server would refuse the user, or not have the database, as well: libpq then asks no other. Pure. */
function refusesUser(error: unknown): boolean {
  const { code = '', severity } = error as { code?: string; severity?: string }
  return severity !== undefined && /^(28|3D)/.test(code)
}

/**
 * Whether an attempt may succeed with TLS instead of without, or the other way round: the handshake failed, or pg_hba.conf
 * demands or excludes TLS (28000). Pure.
 */
export function isAboutTls(error: unknown): boolean {
  const { code = '', severity } = error as { code?: string; severity?: string }
  if (error instanceof FirehoseError) return false
  if (severity !== undefined) return code === '28000'
  return !UNREACHABLE.has(code) && messageOf(error) !== 'timeout expired'
}

function messageOf(error: unknown): string {
  const { message, code, errors = [] } = error as { message?: string; code?: string; errors?: Error[] }
  return message || errors.map((each) => each.message).join(', ') || code || String(error)
}
