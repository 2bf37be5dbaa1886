import { spawnSync } from 'node:child_process'
import { chmodSync, closeSync, mkdtempSync, openSync, rmdirSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { UserError } from '../../embedded/user-error.ts'
import { spawnWatcher } from '../stack/guard.ts'

const SIZE_MIB = 512
/** Why a disk fault is skipped. */
export const NO_SMALL_DISK = 'no small file system can be mounted (this requires root on Linux)'

const CHUNK = Buffer.alloc(1 << 20)

/** A small tmpfs that can be filled up. */
export class SmallDisk {
  readonly #dir: string
  /** Unmounts when its standard input ends, also if this process dies; a line ends it without unmounting. */
  readonly #watcher
  readonly #filler: string

  private constructor(dir: string) {
    this.#dir = dir
    this.#filler = join(dir, 'filler')
    this.#watcher = spawnWatcher('read line && exit; umount -l "$0" && rmdir "$0"', dir)
  }

  /** Path for a data directory on it. */
  get place(): string {
    return join(this.#dir, 'postgres')
  }

  /** Undefined if this process cannot mount a file system. */
  static tryMount(): SmallDisk | undefined {
    if (process.platform !== 'linux' || process.getuid?.() !== 0) return undefined
    const dir = mkdtempSync(join(tmpdir(), 'firehose-disk-'))
    const options = `size=${SIZE_MIB}m,mode=0711`
    if (spawnSync('mount', ['-t', 'tmpfs', '-o', options, 'firehose-drill', dir]).status === 0) {
      chmodSync(dir, 0o711) // PostgreSQL runs as another user, who needs search permission
      return new SmallDisk(dir)
    }
    rmdirSync(dir)
    return undefined
  }

  /** Fills it until no byte is free. */
  fill(): void {
    const file = openSync(this.#filler, 'a')
    try {
      for (let chunk = CHUNK; ; ) {
        try {
          writeSync(file, chunk)
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
          if (chunk.length === 1) return
          chunk = chunk.subarray(0, chunk.length >> 1)
        }
      }
    } finally {
      closeSync(file)
    }
  }

  free(): void {
    rmSync(this.#filler, { force: true })
  }

  /**
   * Copies the data at `place`, which are lost when the disk is unmounted.
   *
   * @throws {UserError} if the copy fails; the disk then stays mounted, and the message names it
   */
  save(to: string): void {
    const { status, stderr, error } = spawnSync('cp', ['-a', this.place, to], { encoding: 'utf8' })
    if (status === 0) return
    this.#watcher.stdin?.end('keep\n')
    rmSync(to, { recursive: true, force: true })
    const reason = error?.message ?? stderr.trim().split('\n', 1)[0]
    throw new UserError(
      `PostgreSQL's data could not be copied to ${to} (${reason}): copy them from ${this.place}, then "umount ${this.#dir}".`,
    )
  }

  /** Unmounts it; all processes using it must have exited. */
  unmount(): void {
    this.#watcher.stdin?.end()
  }
}
