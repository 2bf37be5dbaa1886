import { isatty } from 'node:tty'
import { onNpmExit } from './npm.ts'

/*
 * The only code that listens for signals. SIGINT, SIGTERM, SIGHUP on a terminal, and the end of the npm that started this
 * process request a graceful shutdown. Another signal after that requests an immediate exit.
 */

/**
 * Signals within this time are copies of the same request. Ctrl-C, `timeout` and supervisors signal the whole process
 * group, and npm forwards a signal that its child has already received: milliseconds later, or tenths of a second on a
 * busy machine. A user who wants to force the exit first waits to see the effect of the first signal.
 */
export const SAME_REQUEST_MS = 1_000

/** Handlers of shutdown requests. `cause` is the name of the signal, or a short description. */
export interface EndHandlers {
  /** Shut down gracefully; called once. */
  first: (cause: string) => void
  /** Exit immediately; called for each further request. */
  again: (cause: string) => void
}

/** Distinguishes shutdown requests from copies of the same request. */
export class EndRequests {
  readonly #whenOver: (over: () => void) => void
  #count = 0
  #isOpen = false

  /** @param whenOver calls back when no more copies of a request can arrive */
  constructor(whenOver: (over: () => void) => void) {
    this.#whenOver = whenOver
  }

  /** Registers a signal. @returns the handler to call; undefined for a copy of a request */
  register(): keyof EndHandlers | undefined {
    if (this.#isOpen) return undefined
    this.#isOpen = true
    this.#whenOver(() => {
      this.#isOpen = false
    })
    this.#count += 1
    return this.#count === 1 ? 'first' : 'again'
  }

  /** Registers a cause that can only request a graceful shutdown; has no effect if one was already requested. */
  registerOnce(): keyof EndHandlers | undefined {
    return this.#count === 0 ? this.register() : undefined
  }
}

const requests = new EndRequests((over) => {
  // After a blocked event loop, timers run before pending signals; setImmediate() lets those signals in first.
  setTimeout(() => setImmediate(over), SAME_REQUEST_MS).unref()
})
let handlers: EndHandlers | undefined

/** Sets the handlers of shutdown requests, replacing earlier ones. */
export function onEndRequest(next: EndHandlers): void {
  const isFirst = handlers === undefined
  handlers = next
  if (isFirst) listen()
}

function listen(): void {
  const handle = (which: keyof EndHandlers | undefined, cause: string): void => {
    if (which !== undefined) handlers?.[which](cause)
  }
  const onSignal = (name: string): void => handle(requests.register(), name)
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
  // Node does not keep the ignored SIGHUP of `nohup`; but a process under nohup has no terminal, and without one SIGHUP is
  // ignored here. Checked now, because isatty() is false after the terminal was closed.
  const hasTerminal = [0, 1, 2].some((fd) => isatty(fd))
  process.on('SIGHUP', (name) => {
    if (hasTerminal) onSignal(name)
  })
  onNpmExit(() => handle(requests.registerOnce(), 'npm has ended'))
}
