import { spawnSync } from 'node:child_process'

/** The commit of the running code, with `-dirty` if tracked files differ; undefined without git, as in an image. */
export function runningCommit(): string | undefined {
  const args = ['describe', '--always', '--dirty', '--exclude=*']
  const { status, stdout } = spawnSync('git', args, { cwd: import.meta.dirname, encoding: 'utf8' })
  return status === 0 ? stdout.trim() : undefined
}
