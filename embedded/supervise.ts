import { setTimeout as delay } from 'node:timers/promises'
import { describeExit, type Exit } from './child.ts'
import { UserError } from './user-error.ts'

/** A process that the launcher starts and supervises. */
export interface Service {
  readonly name: string
  readonly pid: number | undefined
  readonly exited: Promise<Exit>
  start(): Promise<void>
  /** Shuts down cleanly. @returns whether SIGKILL was needed after `limitMs` */
  stop(limitMs: number): Promise<boolean>
  kill(): Promise<void>
  lastLines(): string[]
}

/** A service and its dependencies, which must be running before it is started. */
export interface Supervised {
  service: Service
  needs: Service[]
}

const firstDelayMs = 500
const maxDelayMs = 15_000
/** After running this long a service counts as stable: the next restart uses the first delay again. */
const soundMs = 30_000
/** EX_CONFIG of sysexits(3): a restart would fail in the same way. */
const configExitCode = 78

/**
 * Restarts a service whenever it exits, with exponential delay and after its dependencies, until the signal aborts.
 *
 * @throws if it exited because of its configuration
 */
export async function supervise(
  { service, needs }: Supervised,
  up: Set<Service>,
  say: (line: string) => void,
  signal: AbortSignal,
): Promise<void> {
  let delayMs = firstDelayMs
  while (!signal.aborted) {
    const since = Date.now()
    const exit = await service.exited
    up.delete(service)
    if (signal.aborted) return
    say(`${service.name} ${describeExit(exit)}; its last lines:`)
    for (const line of service.lastLines()) say(`    ${line}`)
    if (exit.code === configExitCode)
      throw new UserError(`${service.name} refuses its settings: see its last lines.`)
    if (Date.now() - since > soundMs) delayMs = firstDelayMs
    delayMs = await restart(service, needs, up, delayMs, say, signal)
  }
}

async function restart(
  service: Service,
  needs: Service[],
  up: Set<Service>,
  startDelayMs: number,
  say: (line: string) => void,
  signal: AbortSignal,
): Promise<number> {
  let delayMs = startDelayMs
  for (;;) {
    say(`Restarting ${service.name} in ${delayMs / 1000} s`)
    await pause(delayMs, signal)
    delayMs = Math.min(delayMs * 2, maxDelayMs)
    while (!signal.aborted && needs.some((other) => !up.has(other))) await pause(100, signal)
    if (signal.aborted) return delayMs
    try {
      const begun = Date.now()
      await service.start()
      up.add(service)
      say(`${service.name} is back after ${((Date.now() - begun) / 1000).toFixed(1)} s`)
      return delayMs
    } catch (error) {
      await service.kill()
      if (signal.aborted) return delayMs
      say(`${service.name} did not start: ${error instanceof Error ? error.message : String(error)}`)
    }
  }
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal }).catch(() => {})
}
