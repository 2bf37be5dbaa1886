import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { DriverOptions } from './driver.ts'
import { cpuMs, OTHER_CORE, pin } from './machine.ts'

export interface Saturated {
  /** CPU time of the server per event, in microseconds. */
  cpuUs: number
  /** Events per second of wall-clock time. */
  perSecond: number
  /** The server's utilisation of one core, from 0 to 1. */
  busy: number
  /** All accepted events, including the warm-up: the topic must hold as many. */
  accepted: number
}

/** The clients of the two routes: enough connections and events per request to keep the server busy. */
export const CLIENTS = {
  api: { connections: 256, batch: 1 },
  batch: { connections: 32, batch: 100 },
}

/** The measured interval, preceded by a warm-up of a quarter of its length. */
export function spanOf(seconds: number): Pick<DriverOptions, 'warmUpMs' | 'measuredMs'> {
  return { warmUpMs: seconds * 250, measuredMs: seconds * 1_000 }
}

/**
 * Saturates the server with this pid and measures its CPU time over the interval.
 *
 * @param credential what the clients send as `Authorization: Bearer`
 * @throws if a response was not 202
 */
export async function saturate(pid: number, options: DriverOptions, credential = ''): Promise<Saturated> {
  const driver = fileURLToPath(new URL('./driver.ts', import.meta.url))
  const child = spawn(process.execPath, [driver, JSON.stringify(options)], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, API_KEY: credential },
  })
  if (child.pid !== undefined) pin(child.pid, OTHER_CORE)
  const exit = once(child, 'exit')
  const end = (): boolean => child.kill() // otherwise it would outlive this process
  process.once('exit', end)
  let [beganMs, cpuBefore, spanMs, cpu, events, accepted, failed] = [0, 0, 0, 0, 0, 0, -1]
  for await (const line of createInterface({ input: child.stdout })) {
    const [word, ...values] = line.split(' ')
    if (word === 'begin') [beganMs, cpuBefore] = [performance.now(), cpuMs(pid)]
    else if (word === 'end') {
      ;[spanMs, cpu, events] = [performance.now() - beganMs, cpuMs(pid) - cpuBefore, Number(values[0])]
    } else [accepted = 0, failed = 0] = values.map(Number)
  }
  await exit
  process.off('exit', end)
  if (failed !== 0 || events === 0) throw new Error(`${options.url}: ${failed} events were not accepted`)
  return {
    cpuUs: (cpu * 1_000) / events,
    perSecond: events / (spanMs / 1_000),
    busy: cpu / spanMs,
    accepted,
  }
}
