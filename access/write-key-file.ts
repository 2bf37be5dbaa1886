import {
  closeSync,
  existsSync,
  fchmodSync,
  fchownSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { hostname } from 'node:os'
import { dirname, resolve } from 'node:path'
import { ConfigError } from '../platform/env.ts'
import { systemReason } from '../platform/system-reason.ts'
import { instant, listed } from '../platform/units.ts'
import { KeyChangeError } from './errors.ts'
import { formatKeyFile, type KeyFile, parseKeyFile } from './key-file.ts'
import { readKeyFile } from './read-key-file.ts'

/** For a new file: nobody else learns which keys there are. */
const OWNER_ONLY = 0o600

/**
 * Replaces the key file by a changed one, at once and durably: whoever reads it sees either the old or the new one. The
 * new one is written beside it, as `FILE.new`, which is also the lock. Synchronous, so that no signal can end the process
 * between the two.
 *
 * @param change gets no keys if there is no file yet
 * @returns the new content
 * @throws {ConfigError} if the file that is there is wrong
 * @throws {KeyChangeError} if it cannot be changed, or from `change`; the file stays as it was
 */
export function changeKeyFile(path: string, change: (file: KeyFile) => KeyFile): KeyFile {
  try {
    return replace(realPath(path), change)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).errno === undefined) throw error
    throw new KeyChangeError(`the key file ${path} cannot be changed: ${reasonOf(error)}`, error)
  }
}

function reasonOf(error: unknown): string {
  const { code } = error as NodeJS.ErrnoException
  if (code === 'EBUSY') return 'it is mounted by itself; mount its folder instead'
  if (code === 'ENOENT')
    return 'its folder does not exist; make it, or, if it is in a volume of docker compose, run "docker compose run --rm cli keys"'
  return systemReason(error)
}

function replace(path: string, change: (file: KeyFile) => KeyFile): KeyFile {
  const next = `${path}.new`
  const fd = openAlone(next)
  let file: KeyFile
  try {
    writeSync(fd, `process ${process.pid} on ${hostname()}\n`, 0)
    const isNew = !existsSync(path)
    file = change(isNew ? { keys: [] } : readKeyFile(path))
    const text = formatKeyFile(file)
    checkText(path, text)
    if (!isNew) keepRights(fd, path)
    ftruncateSync(fd)
    writeFileSync(fd, text)
    fsyncSync(fd)
    renameSync(next, path)
  } catch (error) {
    rmSync(next, { force: true })
    throw error
  } finally {
    closeSync(fd)
  }
  syncFolder(dirname(path))
  return file
}

/** Nothing is written that the API would refuse. @throws {KeyChangeError} */
function checkText(path: string, text: string): void {
  try {
    parseKeyFile(text)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    throw new KeyChangeError(
      `the key file ${path} cannot be changed so, because ${listed(error.problems)}`,
      error,
    )
  }
}

/** @throws {KeyChangeError} if the file is there: someone else has it */
function openAlone(next: string): number {
  try {
    return openSync(next, 'wx', OWNER_ONLY)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    throw new KeyChangeError(
      `${whoHas(next)}: try again later, or delete that file if the process was killed`,
      error,
    )
  }
}

/** Who is changing the keys, and since when. */
function whoHas(next: string): string {
  const { text, since } = lookAt(next)
  const [who = 'another process'] = /^process \d+ on [\w.-]+(?=\n)/.exec(text) ?? []
  const isChanging =
    since === undefined ? 'is changing the keys' : `has been changing the keys since ${instant(since)}`
  return `${who} ${isChanging} and holds ${next}`
}

function lookAt(next: string): { text: string; since?: number } {
  try {
    return { text: readFileSync(next, 'utf8'), since: statSync(next).mtimeMs }
  } catch {
    return { text: '' } // the other one has just ended
  }
}

/** The new file is as readable as the old one: an API may run as another user. */
function keepRights(fd: number, path: string): void {
  const { mode, uid, gid } = statSync(path)
  const own = fstatSync(fd)
  if (own.uid !== uid || own.gid !== gid) {
    try {
      fchownSync(fd, uid, gid)
    } catch (error) {
      throw new KeyChangeError(
        `the key file ${path} belongs to user ${uid} and group ${gid}, and you cannot make another one of theirs: run this as root or as that user`,
        error,
      )
    }
  }
  fchmodSync(fd, mode & 0o7777)
}

/** Where a path leads to: a link stays, and the file behind it is replaced. */
function realPath(path: string): string {
  try {
    return realpathSync(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    return targetOf(path)
  }
}

/** Of a file that is not there yet. Links may lead to it, each from the folder in which it really is. */
function targetOf(path: string): string {
  let target: string
  try {
    target = resolve(realpathSync(dirname(path)), readlinkSync(path))
  } catch {
    return resolve(path)
  }
  return realPath(target)
}

/** Makes the rename durable. Some file systems do not offer it, and the keys are in place, so an error is no failure. */
function syncFolder(folder: string): void {
  try {
    const fd = openSync(folder, 'r')
    try {
      fsyncSync(fd)
    } finally {
      closeSync(fd)
    }
  } catch {
    // In place all the same.
  }
}
