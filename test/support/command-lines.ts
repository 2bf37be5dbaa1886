import { spawnSync } from 'node:child_process'

/** The command lines of all processes, as every user of this machine can read them. */
export function commandLines(): string {
  const options = { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 } as const
  const { status, stdout } = spawnSync('ps', ['-A', '-ww', '-o', 'args='], options)
  if (status !== 0) throw new Error('ps does not list the processes')
  return stdout
}
