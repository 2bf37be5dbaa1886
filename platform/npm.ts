/* Detects when the npm that started this process has ended. */

/** Set by with-node24.sh to three pids: of the process that it becomes, of its parent, and of npm. */
const STARTED_BY = 'FIREHOSE_STARTED_BY_NPM'
const CHECK_EVERY_MS = 1_000

interface Starters {
  parent: number
  /** The parent, or, under npx, the parent of the shell that is the parent. */
  npm: number
}

/**
 * Who started the process `pid`, from the value of STARTED_BY; undefined if npm did not start it. Its children inherit the
 * variable but may outlive npm.
 */
export function startersOf(startedBy: string | undefined, pid: number): Starters | undefined {
  const [own, parent, npm] = (startedBy ?? '').split(' ').map(Number)
  return own === pid && parent && npm ? { parent, npm } : undefined
}

/**
 * Calls back once when the npm that started this process has ended. A killed npm forwards no signal, so the process would
 * otherwise run on unnoticed. When a parent dies, the process gets another parent.
 */
export function onNpmExit(callback: () => void): void {
  const starters = startersOf(process.env[STARTED_BY], process.pid)
  if (starters === undefined) return
  const { parent, npm } = starters
  const timer = setInterval(() => {
    if (process.ppid === parent && (npm === parent || isRunning(npm))) return
    clearInterval(timer)
    callback()
  }, CHECK_EVERY_MS).unref()
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
