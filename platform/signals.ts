import { isatty } from 'node:tty'
import { onNpmGone } from './npm.ts'

/**
 * The one place that listens to signals. SIGINT and SIGTERM, SIGHUP on a terminal, and the end of the npm that started
 * this process ask it to end in order; a signal after that means "at once".
 */

/**
 * Signals within this time of a request are the same one, whoever passed them on. Ctrl-C, `timeout` and a supervisor
 * signal a whole process group, and npm hands on what its child has got already: milliseconds later, or tenths of a second
 * on a busy machine. Whoever means it twice has first seen that the first time was heard.
 */
export const SAME_REQUEST_MS = 1_000

/** Who may ask, and what for: `cause` is the signal's name, or a few words. */
export interface EndHandlers {
  /** To end in order; called once. */
  first: (cause: string) => void
  /** To end at once; called for each further request. */
  again: (cause: string) => void
}

/** Tells requests to end from repeats of a request. */
export class EndRequests {
  readonly #whenOver: (over: () => void) => void
  #count = 0
  #isOpen = false

  /** @param whenOver calls back when a request and its repeats have been heard */
  constructor(whenOver: (over: () => void) => void) {
    this.#whenOver = whenOver
  }

  /** Takes a signal. @returns which handler it is for; undefined for a repeat */
  hear(): keyof EndHandlers | undefined {
    if (this.#isOpen) return undefined
    this.#isOpen = true
    this.#whenOver(() => {
      this.#isOpen = false
    })
    this.#count += 1
    return this.#count === 1 ? 'first' : 'again'
  }

  /** Takes what can only ask for an orderly end: nothing once that was asked for. */
  hearOnce(): keyof EndHandlers | undefined {
    return this.#count === 0 ? this.hear() : undefined
  }
}

const requests = new EndRequests((over) => {
  // After a blocked event loop timers come before the signals that have waited: these are heard first.
  setTimeout(() => setImmediate(over), SAME_REQUEST_MS).unref()
})
let handlers: EndHandlers | undefined

/** Says what to do when this process is asked to end, in place of what was said before. */
export function onEndRequest(next: EndHandlers): void {
  const isFirst = handlers === undefined
  handlers = next
  if (isFirst) listen()
}

function listen(): void {
  const hear = (which: keyof EndHandlers | undefined, cause: string): void => {
    if (which !== undefined) handlers?.[which](cause)
  }
  const onSignal = (name: string): void => hear(requests.hear(), name)
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
  // Node forgets that `nohup` had this signal ignored, but a process under nohup has no terminal: without one, a closed
  // terminal is none of its business. Asked now, because a closed terminal is no terminal any more.
  const hasTerminal = [0, 1, 2].some((fd) => isatty(fd))
  process.on('SIGHUP', (name) => {
    if (hasTerminal) onSignal(name)
  })
  onNpmGone(() => hear(requests.hearOnce(), 'npm has ended'))
}
