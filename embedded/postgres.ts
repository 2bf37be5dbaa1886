import { spawnSync } from 'node:child_process'
import { chownSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { totalmem } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Client, escapeIdentifier } from 'pg'
import { Child, endLeftover, type Exit } from './child.ts'
import { postgresBinaries, postgresDir, type ServerUser, serverUser } from './postgres-install.ts'
import { childrenOf, commandOf, endProcess, identify, isAlive, processState, signal } from './process-info.ts'
import { UserError } from './user-error.ts'

export interface PostgresOptions {
  /** The cluster is in the subdirectory `data`. */
  dir: string
  port: number
  logFile?: string
  pidFile?: string
  /** Run initdb with --no-sync: only for data that may be lost. */
  noInitSync?: boolean
  onLog?: (line: string) => void
}

const user = 'firehose'
const password = 'firehose'
const database = 'firehose'
const major = '18'
/** Upper limit for shared_buffers: the shutdown checkpoint must write all dirty pages within seconds. */
const MOST_BUFFERS_BYTES = 2 ** 30
const startLimitMs = 300_000

/** PostgreSQL as a child process, listening on 127.0.0.1 only. */
export class EmbeddedPostgres {
  readonly name = 'PostgreSQL'
  /** Connection string of the superuser. */
  readonly url: string
  readonly #options: PostgresOptions
  #child: Child | undefined

  constructor(options: PostgresOptions) {
    this.#options = options
    this.url = `postgresql://${user}:${password}@127.0.0.1:${options.port}/${database}`
  }

  /** Resolves when the current run has ended. */
  get exited(): Promise<Exit> {
    return this.#child?.exited ?? Promise.resolve({ code: 0, signal: null })
  }

  get pid(): number | undefined {
    return this.#child?.pid
  }

  lastLines(): string[] {
    return this.#child?.lastLines() ?? []
  }

  /** Starts with the data of the previous run (or a new cluster) and waits until a query is answered. */
  async start(): Promise<void> {
    const { dir, onLog: say = () => {} } = this.#options
    const pidFile = this.#options.pidFile ?? join(dir, 'postgres.pid')
    const runAs = serverUser(join(dir, 'data'))
    const place = postgresDir(dir, runAs, say)
    const bin = join(postgresBinaries(runAs, say), 'bin')
    const data = join(place, 'data')
    await endLeftover(pidFile, 'SIGINT', 10_000)
    await endPostmaster(data)
    if (!existsSync(data)) initdb(bin, data, runAs, this.#options.noInitSync ?? false)
    checkVersion(data)
    const child = new Child({
      name: this.name,
      command: join(bin, 'postgres'),
      args: ['-D', data, ...this.#settings()],
      env: serverEnv(),
      cwd: '/',
      user: runAs,
      logFile: this.#options.logFile ?? join(dir, 'postgres.log'),
      pidFile,
    })
    this.#child = child
    child.start()
    await child.waitUntil(() => this.#answers(), startLimitMs)
  }

  /** Fast shutdown, which aborts open transactions; SIGKILL after `limitMs`. @returns whether SIGKILL was needed */
  async stop(limitMs = 10_000): Promise<boolean> {
    const tree = this.#tree()
    const stopping = this.#child?.stop('SIGINT', limitMs)
    for (const pid of tree) signal(pid, 'SIGCONT')
    return (await stopping) ?? false
  }

  /** Kills the postmaster like a crash, and waits until its children have exited too. */
  async kill(): Promise<void> {
    const children = this.#tree().slice(1).map(identify)
    await this.#child?.kill()
    const deadline = Date.now() + 5_000
    for (const id of children) {
      if (!id) continue
      // A frozen child would not notice that the postmaster is gone.
      signal(id.pid, 'SIGCONT')
      while (isAlive(id)) {
        if (Date.now() > deadline) signal(id.pid, 'SIGKILL')
        await delay(5)
      }
    }
  }

  /** Suspends the postmaster and all its children, because open connections are served by the children. */
  async freeze(): Promise<void> {
    await this.#child?.freeze()
    // A child that was just forked may be missing from the list: repeat until none is running.
    for (let running = this.#running(); running.length > 0; running = this.#running()) {
      for (const pid of running) signal(pid, 'SIGSTOP')
      await delay(5)
    }
  }

  async thaw(): Promise<void> {
    for (const pid of this.#tree().toReversed()) signal(pid, 'SIGCONT')
  }

  #tree(): number[] {
    const pid = this.pid
    return pid ? [pid, ...childrenOf(pid)] : []
  }

  #running(): number[] {
    return this.#tree().filter((pid) => processState(pid) === 'running')
  }

  #settings(): string[] {
    const settings = {
      listen_addresses: '127.0.0.1',
      port: String(this.#options.port),
      // A socket path would have to be short and writable for the server's user; TCP is not measurably slower.
      unix_socket_directories: '',
      timezone: 'UTC',
      log_timezone: 'UTC',
      log_line_prefix: '%m [%p] %a ',
    }
    return Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  }

  /** Whether our database answers; creates it if the server runs without it. */
  async #answers(): Promise<boolean> {
    const port = this.#options.port
    try {
      await query(port, database, 'SELECT 1')
      return true
    } catch (error) {
      const { code } = error as { code?: string }
      if (code === '28P01')
        throw new UserError(`PostgreSQL on port ${port} rejected the password: is it another server?`)
      if (code === '3D000') await query(port, 'postgres', `CREATE DATABASE ${escapeIdentifier(database)}`)
      return false
    }
  }
}

async function query(port: number, name: string, sql: string): Promise<void> {
  const client = new Client({
    host: '127.0.0.1',
    port,
    user,
    password,
    database: name,
    ssl: false,
    connectionTimeoutMillis: 2_000,
    query_timeout: 10_000,
  })
  client.on('error', () => {})
  try {
    await client.connect()
    await client.query(sql)
  } finally {
    await client.end().catch(() => {})
  }
}

/**
 * Sizes for a growing `events` table. The user index is written at random places: it needs memory and infrequent
 * checkpoints, because the first write to a page after a checkpoint logs the whole page (see "As `events` grows" in
 * docs/PERFORMANCE.md). initdb writes these settings into postgresql.conf, where the user can change them.
 */
function sizes(): Record<string, string> {
  const memory = Math.min(totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY)
  const buffers = Math.min(MOST_BUFFERS_BYTES, memory / 4) // a quarter, as PostgreSQL's manual recommends (19.4.1)
  return {
    shared_buffers: `${Math.floor(buffers / 2 ** 20)}MB`,
    max_wal_size: '4GB',
    checkpoint_timeout: '15min',
  }
}

/** Creates a cluster under a temporary name and renames it, so an interrupted attempt leaves no partial cluster. */
function initdb(bin: string, data: string, runAs: ServerUser, noSync: boolean): void {
  const part = `${data}.part`
  const passwordFile = `${data}.password`
  rmSync(part, { recursive: true, force: true })
  mkdirSync(part, { mode: 0o700 })
  writeFileSync(passwordFile, password, { mode: 0o600 })
  if (runAs) for (const path of [part, passwordFile]) chownSync(path, runAs.uid, runAs.gid)
  const locale = ['--locale-provider=builtin', '--builtin-locale=C.UTF-8', '--locale=C']
  const auth = ['-U', user, '-A', 'scram-sha-256', `--pwfile=${passwordFile}`]
  const args = [
    '-D',
    part,
    '-E',
    'UTF8',
    ...locale,
    ...auth,
    '--no-instructions',
    ...Object.entries(sizes()).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
    ...(noSync ? ['--no-sync'] : []),
  ]
  const run = spawnSync(join(bin, 'initdb'), args, { encoding: 'utf8', cwd: '/', env: serverEnv(), ...runAs })
  rmSync(passwordFile, { force: true })
  if (run.status !== 0) throw new Error(`initdb failed: ${run.error?.message ?? run.stderr}`)
  renameSync(part, data)
}

/** Stops a postmaster left running on this data directory; removes a stale postmaster.pid. */
async function endPostmaster(data: string): Promise<void> {
  const file = join(data, 'postmaster.pid')
  if (!existsSync(file)) return
  const id = identify(Number(readFileSync(file, 'utf8').split('\n')[0]))
  // The pid may have been reused (common in containers): stop only a server on our data directory.
  if (id && commandOf(id.pid).includes(data)) return endProcess(id, 'SIGINT', 10_000)
  rmSync(file, { force: true })
}

function checkVersion(data: string): void {
  const found = readFileSync(join(data, 'PG_VERSION'), 'utf8').trim()
  if (found === major) return
  throw new UserError(
    `${data} was written by PostgreSQL ${found}, but this is ${major}: remove it to start over, or export its rows first.`,
  )
}

/** Without the user's PG* variables: the server reads some of them as settings. */
function serverEnv(): NodeJS.ProcessEnv {
  return { PATH: process.env.PATH, LC_ALL: 'C', TZ: 'UTC' }
}
