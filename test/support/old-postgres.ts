import { spawnSync } from 'node:child_process'
import { chmodSync, chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Child } from '../../embedded/child.ts'
import { freePorts } from '../../embedded/ports.ts'
import { serverUser } from '../../embedded/postgres-install.ts'
import { ask } from '../../tools/stack/ask.ts'
import { spawnGuard } from '../../tools/stack/guard.ts'

/** Where Debian's packages put each major version. */
const PACKAGES = '/usr/lib/postgresql'
const FIRST_SUPPORTED = 17

interface Running {
  url: string
  stop(): Promise<void>
}

/** A PostgreSQL of this machine that is too old for Firehose; undefined if there is none. */
export function oldPostgres(): { start(): Promise<Running> } | undefined {
  const majors = existsSync(PACKAGES) ? readdirSync(PACKAGES).map(Number) : []
  const major = majors.filter((one) => one < FIRST_SUPPORTED).toSorted((a, b) => b - a)[0]
  const bin = join(PACKAGES, String(major), 'bin')
  if (major === undefined || !existsSync(join(bin, 'initdb'))) return undefined
  return { start: async () => await start(bin) }
}

async function start(bin: string): Promise<Running> {
  const dir = mkdtempSync(join(tmpdir(), 'firehose-old-'))
  chmodSync(dir, 0o711)
  const data = join(dir, 'data')
  const user = serverUser(data)
  if (user) chownSync(dir, user.uid, user.gid)
  const args = ['-D', data, '-U', 'firehose', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync']
  const made = spawnSync(join(bin, 'initdb'), args, { cwd: '/', encoding: 'utf8', ...user })
  if (made.status !== 0) throw new Error(made.stderr)
  const guard = spawnGuard(dir)
  const [port = 0] = await freePorts(1)
  const child = new Child({
    name: 'an older PostgreSQL',
    command: join(bin, 'postgres'),
    args: [
      '-D',
      data,
      '-c',
      `port=${port}`,
      '-c',
      'listen_addresses=127.0.0.1',
      '-c',
      'unix_socket_directories=',
    ],
    env: { PATH: process.env.PATH },
    cwd: '/',
    user,
    logFile: join(dir, 'postgres.log'),
    pidFile: join(dir, 'postgres.pid'),
  })
  const url = `postgresql://firehose@127.0.0.1:${port}/postgres`
  child.start()
  await child.waitUntil(
    async () =>
      await ask(url, 'SELECT 1').then(
        () => true,
        () => false,
      ),
    60_000,
  )
  return {
    url,
    stop: async () => {
      await child.kill()
      rmSync(dir, { recursive: true, force: true })
      guard.stdin?.end()
    },
  }
}
