import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, chownSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePorts } from '../../embedded/ports.ts'
import { serverUser } from '../../embedded/postgres-install.ts'
import { ask } from '../../tools/stack/ask.ts'
import { until } from './until.ts'

/** Whether PgBouncer is installed on this machine. */
export const hasPgBouncer = spawnSync('pgbouncer', ['--version']).status === 0

/** PgBouncer in transaction mode before a server: each transaction may get another connection of two. */
export async function startPgBouncer(server: string): Promise<{ url: string; stop: () => Promise<void> }> {
  const { hostname, port: serverPort, username, password, pathname } = new URL(server)
  const dir = mkdtempSync(join(tmpdir(), 'firehose-pgbouncer-'))
  const [port = 0] = await freePorts(1)
  const users = join(dir, 'users')
  const config = join(dir, 'pgbouncer.ini')
  writeFileSync(users, `"${username}" "${password}"\n`)
  writeFileSync(
    config,
    `[databases]
* = host=${hostname} port=${serverPort}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = plain
auth_file = ${users}
pool_mode = transaction
default_pool_size = 3
`,
  )
  chmodSync(dir, 0o755)
  const user = serverUser(dir) // it does not run as root, either
  if (user) for (const file of [users, config]) chownSync(file, user.uid, user.gid)
  const child = spawn('pgbouncer', [config], { stdio: 'ignore', ...user })
  const exited = once(child, 'exit')
  const url = `postgresql://${username}:${password}@127.0.0.1:${port}${pathname}`
  const answers = async (): Promise<boolean> =>
    await ask(url, 'SELECT').then(
      () => true,
      () => false,
    )
  await until('PgBouncer answers', answers)
  return {
    url,
    stop: async () => {
      child.kill('SIGKILL')
      await exited
      rmSync(dir, { recursive: true, force: true })
    },
  }
}
