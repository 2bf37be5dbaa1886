import { onEndRequest } from '../platform/signals.ts'

/** The exit code after Ctrl-C: 128 + SIGINT, as shells have it. */
export const EXIT_STOPPED = 130

/** The first shutdown request calls `onStop` and aborts the returned signal; another one exits immediately. */
export function stopOnSignal(onStop: () => void): AbortSignal {
  const stop = new AbortController()
  surviveClosedTerminal()
  onEndRequest({
    first: () => {
      onStop()
      stop.abort()
    },
    again: exitNow,
  })
  return stop.signal
}

/** For commands with nothing to clean up: the first shutdown request exits. */
export function endOnSignal(): void {
  onEndRequest({ first: exitNow, again: exitNow })
}

function exitNow(): never {
  process.exit(EXIT_STOPPED)
}

/** Writing to a closed terminal fails; without a handler, the error would end the command before it has cleaned up. */
function surviveClosedTerminal(): void {
  for (const stream of [process.stdout, process.stderr]) {
    if (stream.isTTY) stream.on('error', () => {})
  }
}
