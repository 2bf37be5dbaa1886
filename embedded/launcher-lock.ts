import { linkSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { readPidFile, writePidFile } from './child.ts'
import { UserError } from './user-error.ts'

/**
 * Locks the directory for this process until the returned function is called. A lock whose owner has died
 * (kill -9, power loss) is replaced.
 *
 * @throws {UserError} if another launcher holds the lock
 */
export function lockDirectory(dir: string): () => void {
  mkdirSync(dir, { recursive: true })
  const lock = join(dir, 'launcher.pid')
  const own = `${lock}.${process.pid}`
  writePidFile(own, process.pid)
  try {
    // link(2) is atomic and never replaces a file, so only one of two launchers succeeds.
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
    `Firehose is already running in ${dir} (pid ${pid}): stop it with Ctrl-C or \`kill ${pid}\`, or choose another` +
      ' directory with FIREHOSE_DIR (and other ports).',
  )
}

/** Moves a stale lock aside; puts it back if it turns out to be another launcher's new one. */
function removeStale(lock: string, aside: string): void {
  try {
    renameSync(lock, aside)
  } catch {
    return // another launcher was first; the next attempt sees its lock
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
    // Some file systems (shared folders of virtual machines) do not support hard links.
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
