import { type ChildProcess, spawn } from 'node:child_process'

/**
 * Starts a guard for a directory: if this process dies without cleaning up (a crash, a timeout), the guard kills the
 * processes whose pid files are in the directory and removes it. A line on the guard's standard input ends it.
 */
export function spawnGuard(dir: string): ChildProcess {
  return spawnWatcher(
    'read line && exit; for f in "$0"/*.pid; do test -f "$f" && kill -9 "$(head -n 1 "$f")"; done; rm -rf "$0"',
    dir,
  )
}

/** A detached shell whose standard input reaches its end when this process dies. @param argument `$0` of the script */
export function spawnWatcher(script: string, argument: string): ChildProcess {
  const watcher = spawn('/bin/sh', ['-c', script, argument], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  })
  watcher.unref()
  ;(watcher.stdin as unknown as { unref?(): void } | null)?.unref?.()
  return watcher
}
