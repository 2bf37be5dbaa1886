import { onEndRequest } from '../platform/signals.ts'

/** Exit code of what Ctrl-C has ended. */
export const EXIT_STOPPED = 130

/** The first request to end aborts the signal that is returned, after `onStop`; a further one ends at once. */
export function stopOnSignal(onStop: () => void): AbortSignal {
  const stop = new AbortController()
  surviveClosedTerminal()
  onEndRequest({
    first: () => {
      onStop()
      stop.abort()
    },
    again: endAtOnce,
  })
  return stop.signal
}

/** For what has nothing to end in order: the first request ends it. */
export function endOnSignal(): void {
  onEndRequest({ first: endAtOnce, again: endAtOnce })
}

function endAtOnce(): never {
  process.exit(EXIT_STOPPED)
}

/** What is written to a terminal that was closed fails: without this it would end the command before it has stopped. */
function surviveClosedTerminal(): void {
  for (const stream of [process.stdout, process.stderr]) {
    if (stream.isTTY) stream.on('error', () => {})
  }
}
