import { spawnSync } from 'node:child_process'
import { appendFileSync, chownSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { freePorts } from '../../embedded/ports.ts'
import { EmbeddedPostgres } from '../../embedded/postgres.ts'
import { ask } from '../../tools/stack/ask.ts'
import { until } from './until.ts'

/* What an administrator does with the files of an embedded PostgreSQL: TLS, pg_hba.conf, a standby. */

const TLS = fileURLToPath(new URL('./tls/', import.meta.url))
/** A certificate for localhost and 127.0.0.1 that is its own authority, and its key; servers and clients use both. */
export const CERTIFICATE = join(TLS, 'certificate.pem')
export const KEY = join(TLS, 'key.pem')

/** Turns TLS on: the server has the certificate, and trusts clients that have it too. @param url of a superuser */
export async function turnTlsOn(url: string): Promise<void> {
  const data = await setting(url, 'data_directory')
  const { uid, gid } = statSync(data)
  for (const [from, to] of [
    [CERTIFICATE, 'server.crt'],
    [KEY, 'server.key'],
  ] as const) {
    const path = join(data, to)
    writeFileSync(path, readFileSync(from), { mode: 0o600 })
    if (process.getuid?.() === 0) chownSync(path, uid, gid)
  }
  await ask(url, `ALTER SYSTEM SET ssl_ca_file = 'server.crt'`)
  await ask(url, 'ALTER SYSTEM SET ssl = on')
  await reload(url)
}

/** Lets the role firehose in by these lines of pg_hba.conf alone, and others as before. @param url of another superuser */
export async function allowOnly(url: string, lines: string): Promise<void> {
  const { pathname, username } = new URL(url)
  assertOther(username)
  const others = `host ${pathname.slice(1)} ${username} all scram-sha-256\nhost replication all all scram-sha-256\n`
  writeFileSync(await setting(url, 'hba_file'), `${others}${lines}\n`)
  writeFileSync(await setting(url, 'ident_file'), 'certificates localhost firehose\n')
  await reload(url)
}

function assertOther(username: string): void {
  if (username === 'firehose') throw new Error('it would shut itself out')
}

/** New sessions know the new settings when this resolves. */
async function reload(url: string): Promise<void> {
  const loaded = async (): Promise<string | undefined> =>
    (await ask<{ at: string }>(url, 'SELECT pg_conf_load_time()::text AS at'))[0]?.at
  const before = await loaded()
  await ask(url, 'SELECT pg_reload_conf()')
  await until('the settings are loaded', async () => (await loaded()) !== before)
}

async function setting(url: string, name: string): Promise<string> {
  const [row] = await ask<{ value: string }>(url, 'SELECT current_setting($1) AS value', { values: [name] })
  return row?.value ?? ''
}

/**
 * Starts a standby, made of a copy of the server's files, which follows it. Restarts the server.
 *
 * @param dir where pid files are watched by a guard
 */
export async function startStandby(primary: EmbeddedPostgres, dir: string): Promise<EmbeddedPostgres> {
  const data = await setting(primary.url, 'data_directory')
  const [port = 0] = await freePorts(1)
  const place = join(dirname(dirname(data)), 'standby')
  await primary.stop()
  const copied = spawnSync('cp', ['-a', dirname(data), place], { encoding: 'utf8' })
  if (copied.status !== 0) throw new Error(copied.stderr)
  rmSync(join(place, 'data', 'postmaster.pid'), { force: true })
  const { port: primaryPort, username, password } = new URL(primary.url)
  const link = `host=127.0.0.1 port=${primaryPort} user=${username} password=${password}`
  appendFileSync(join(place, 'data', 'postgresql.auto.conf'), `primary_conninfo = '${link}'\n`)
  writeFileSync(join(place, 'data', 'standby.signal'), '')
  const standby = new EmbeddedPostgres({ dir: place, port, pidFile: join(dir, 'standby.pid') })
  await primary.start()
  await standby.start()
  return standby
}
