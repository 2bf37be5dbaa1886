/** npm passes on a Ctrl-C that the terminal has sent already: a repeat within this time is the same one. */
const SAME_SIGNAL_MS = 500

/** Exit code of what Ctrl-C has ended. */
export const EXIT_STOPPED = 130

/** The first SIGINT, SIGTERM or SIGHUP aborts the signal that is returned, after `onStop`; a second one ends at once. */
export function stopOnSignal(onStop: () => void): AbortSignal {
  const stop = new AbortController()
  let firstMs = 0
  const onSignal = () => {
    if (!stop.signal.aborted) {
      firstMs = Date.now()
      onStop()
      stop.abort()
    } else if (Date.now() - firstMs > SAME_SIGNAL_MS) {
      process.exit(EXIT_STOPPED)
    }
  }
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, onSignal)
  return stop.signal
}
