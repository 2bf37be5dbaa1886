import { processState } from '../../embedded/process-info.ts'
import type { ServiceState } from '../stack/backends.ts'
import type { TcpProxy } from './tcp-proxy.ts'

/** A part of the stack to which faults can be applied. */
export interface Part {
  name: string
  /** Undefined if it is a container or not running. */
  pid(): number | undefined
  start(): Promise<unknown>
  /** Stops it in order, as an operator would. */
  stop(): Promise<unknown>
  kill(): Promise<unknown>
  freeze(): Promise<void>
  thaw(): Promise<void> | void
  state(): Promise<ServiceState> | ServiceState
  /** Whether it answers within PROBE_MS. */
  answers(): Promise<boolean>
}

export interface SinkPart extends Part {
  /** The content of /health and /metrics; undefined if it does not answer. */
  health(): Promise<Record<string, unknown> | undefined>
  metrics(): Promise<string | undefined>
  /** The end of its log, for the report on a stack that does not recover. */
  lastLines(): Promise<readonly string[]> | readonly string[]
  /** The proxy between this sink and PostgreSQL, if there is one. */
  proxy: TcpProxy | undefined
}

export const PROBE_MS = 500

/** Evidence that a part has ended: it does not answer, and its process `pid` (if it was one) or container has ended. */
export async function gone(part: Part, pid: number | undefined): Promise<string | undefined> {
  if (await part.answers()) return undefined
  const state = pid === undefined ? await part.state() : stateOfProcess(pid)
  if (state !== 'ended') return undefined
  return pid === undefined
    ? `the container of ${part.name} has exited`
    : `process ${pid} of ${part.name} is gone`
}

export function stateOfProcess(pid: number | undefined): ServiceState {
  const state = pid === undefined ? undefined : processState(pid)
  if (state === undefined) return 'ended'
  return state === 'stopped' ? 'frozen' : 'running'
}

/** Whether one of our services answers at this URL. */
export async function serviceAnswers(url: string): Promise<boolean> {
  return (await get(`${url}/health`, PROBE_MS)) !== undefined
}

/** The response body, or undefined on any error. */
async function get(url: string, limitMs: number): Promise<string | undefined> {
  try {
    return await (await fetch(url, { signal: AbortSignal.timeout(limitMs) })).text()
  } catch {
    return undefined
  }
}

/** /health and /metrics of a service. The URL is evaluated for each request, because it may change with a restart. */
export function pagesOf(url: () => Promise<string> | string): Pick<SinkPart, 'health' | 'metrics'> {
  return {
    health: async () => {
      const text = await get(`${await url()}/health`, 1_000)
      return text === undefined ? undefined : (JSON.parse(text) as Record<string, unknown>)
    },
    metrics: async () => await get(`${await url()}/metrics`, 1_000),
  }
}
