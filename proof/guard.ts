import { type ChildProcess, spawn } from 'node:child_process'

/**
 * Ends the processes whose pid files lie in a directory, and removes it, if this process dies without doing so (a crash,
 * a time limit): the guard's standard input ends with us.
 */
export function spawnGuard(dir: string): ChildProcess {
  const script =
    'read line; for f in "$0"/*.pid; do test -f "$f" && kill -9 "$(head -n 1 "$f")"; done; rm -rf "$0"'
  const guard = spawn('/bin/sh', ['-c', script, dir], { stdio: ['pipe', 'ignore', 'ignore'], detached: true })
  guard.unref()
  ;(guard.stdin as unknown as { unref?(): void } | null)?.unref?.()
  return guard
}
