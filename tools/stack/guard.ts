import { type ChildProcess, spawn } from 'node:child_process'

/**
 * Ends the processes whose pid files lie in a directory, and removes it, if this process dies without doing so (a crash,
 * a time limit). A line on its standard input sends it away.
 */
export function spawnGuard(dir: string): ChildProcess {
  return spawnWatcher(
    'read line && exit; for f in "$0"/*.pid; do test -f "$f" && kill -9 "$(head -n 1 "$f")"; done; rm -rf "$0"',
    dir,
  )
}

/** A shell that outlives us: its standard input ends with us, or when we end it. `argument` is its `$0`. */
export function spawnWatcher(script: string, argument: string): ChildProcess {
  const watcher = spawn('/bin/sh', ['-c', script, argument], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  })
  watcher.unref()
  ;(watcher.stdin as unknown as { unref?(): void } | null)?.unref?.()
  return watcher
}
