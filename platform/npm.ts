/** Whether npm, which started this process, still lives. */

/** with-node24.sh hands on here: the pid of what it becomes, and that of npm. */
const STARTED_BY = 'FIREHOSE_STARTED_BY_NPM'
const LOOK_EVERY_MS = 1_000

/**
 * Of what was handed on: npm's pid; undefined for any other process than the one that npm started. Its children, which
 * inherit the variable, may outlive npm as they like.
 */
export function npmOf(handedOn: string | undefined, pid: number): number | undefined {
  const [own, npm] = (handedOn ?? '').split(' ').map(Number)
  return own === pid && npm ? npm : undefined
}

/**
 * Calls back once when npm, if it started this process, is gone: a killed npm passes on nothing, and what it started
 * would run on unseen. A process that has lost its parent gets another one.
 */
export function onNpmGone(callback: () => void): void {
  const npm = npmOf(process.env[STARTED_BY], process.pid)
  if (npm === undefined) return
  const timer = setInterval(() => {
    if (process.ppid === npm) return
    clearInterval(timer)
    callback()
  }, LOOK_EVERY_MS).unref()
}
