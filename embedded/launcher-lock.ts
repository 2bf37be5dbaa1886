import { linkSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { readPidFile, writePidFile } from './child.ts'
import { UserError } from './user-error.ts'

/**
 * Takes the directory for this process, until the returned function is called. A lock whose owner has died
 * (kill -9, power loss) is taken over.
 *
 * @throws {UserError} when another launcher runs on it
 */
export function lockDirectory(dir: string): () => void {
  mkdirSync(dir, { recursive: true })
  const lock = join(dir, 'launcher.pid')
  const own = `${lock}.${process.pid}`
  writePidFile(own, process.pid)
  try {
    // A link appears together with its content and never replaces a file: of two launchers one gets it.
    while (!tryLink(own, lock)) {
      const owner = readPidFile(lock)
      if (owner) throw alreadyRuns(dir, owner.pid)
      removeStale(lock, `${own}.stale`)
    }
  } finally {
    rmSync(own, { force: true })
  }
  return () => rmSync(lock, { force: true })
}

function alreadyRuns(dir: string, pid: number): UserError {
  return new UserError(
    `Firehose already runs on ${dir} (pid ${pid}): stop it with Ctrl-C or \`kill ${pid}\`, or choose another` +
      ' directory with FIREHOSE_DIR (and other ports).',
  )
}

/** Moves a dead owner's lock away; if another launcher replaced it just now, that one's is put back. */
function removeStale(lock: string, aside: string): void {
  try {
    renameSync(lock, aside)
  } catch {
    return // another launcher was faster; the next attempt sees its lock
  }
  if (readPidFile(aside)) tryLink(aside, lock)
  rmSync(aside, { force: true })
}

function tryLink(from: string, to: string): boolean {
  try {
    linkSync(from, to)
    return true
  } catch (error) {
    if (isExisting(error)) return false
    // Some file systems (shared folders of virtual machines) know no links.
    if (readable(to)) return false
    renameSync(from, to)
    return true
  }
}

function isExisting(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EEXIST'
}

function readable(file: string): boolean {
  try {
    return readFileSync(file).length > 0
  } catch {
    return false
  }
}
