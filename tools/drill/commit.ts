import { spawnSync } from 'node:child_process'

/** The commit of the code that runs, with `-dirty` when tracked files differ from it; undefined without git, as in an image. */
export function runningCommit(): string | undefined {
  const args = ['describe', '--always', '--dirty', '--exclude=*']
  const { status, stdout } = spawnSync('git', args, { cwd: import.meta.dirname, encoding: 'utf8' })
  return status === 0 ? stdout.trim() : undefined
}
