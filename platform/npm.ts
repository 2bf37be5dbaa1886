/* Detects when the npm that started this process has ended. */

/** Set by with-node24.sh to two pids: that of the process that it becomes, and that of npm. */
const STARTED_BY = 'FIREHOSE_STARTED_BY_NPM'
const CHECK_EVERY_MS = 1_000

/**
 * The pid of the npm that started the process `pid`, from the value of STARTED_BY; undefined if npm did not start it
 * directly. Its children inherit the variable but may outlive npm.
 */
export function npmOf(startedBy: string | undefined, pid: number): number | undefined {
  const [own, npm] = (startedBy ?? '').split(' ').map(Number)
  return own === pid && npm ? npm : undefined
}

/**
 * Calls back once when the npm that started this process has ended. A killed npm forwards no signal, so the process would
 * otherwise run on unnoticed. When a parent dies, the process gets another parent.
 */
export function onNpmExit(callback: () => void): void {
  const npm = npmOf(process.env[STARTED_BY], process.pid)
  if (npm === undefined) return
  const timer = setInterval(() => {
    if (process.ppid === npm) return
    clearInterval(timer)
    callback()
  }, CHECK_EVERY_MS).unref()
}
