import { processState } from '../../embedded/process-info.ts'
import type { ServiceState } from '../stack/backends.ts'
import type { TcpProxy } from './tcp-proxy.ts'

/** A part of the stack that can break, whatever it is. */
export interface Part {
  name: string
  /** Undefined when it is no process that we can see, or does not run. */
  pid(): number | undefined
  start(): Promise<unknown>
  /** In order, as an operator would. */
  stop(): Promise<unknown>
  kill(): Promise<unknown>
  freeze(): Promise<void>
  thaw(): Promise<void> | void
  state(): Promise<ServiceState> | ServiceState
  /** Whether it answers within PROBE_MS. */
  answers(): Promise<boolean>
}

export interface SinkPart extends Part {
  /** What /health and /metrics say; undefined when it does not answer. */
  health(): Promise<Record<string, unknown> | undefined>
  metrics(): Promise<string | undefined>
  /** For the report of a stack that does not recover. */
  lastLines(): Promise<readonly string[]> | readonly string[]
  /** Between this sink and PostgreSQL, where one can stand there. */
  proxy: TcpProxy | undefined
}

export const PROBE_MS = 500

/** What shows that a part has ended: it does not answer, and what it was, the process `pid` if it was one, is gone. */
export async function gone(part: Part, pid: number | undefined): Promise<string | undefined> {
  if (await part.answers()) return undefined
  const state = pid === undefined ? await part.state() : stateOfProcess(pid)
  if (state !== 'ended') return undefined
  return pid === undefined ? `${part.name}, a container, had ended` : `${part.name}, process ${pid}, was gone`
}

export function stateOfProcess(pid: number | undefined): ServiceState {
  const state = pid === undefined ? undefined : processState(pid)
  if (state === undefined) return 'ended'
  return state === 'stopped' ? 'frozen' : 'running'
}

/** Whether a service of ours answers at this URL. */
export async function serviceAnswers(url: string): Promise<boolean> {
  return (await get(`${url}/health`, PROBE_MS)) !== undefined
}

/** The text of a page, or undefined. */
async function get(url: string, limitMs: number): Promise<string | undefined> {
  try {
    return await (await fetch(url, { signal: AbortSignal.timeout(limitMs) })).text()
  } catch {
    return undefined
  }
}

/** /health and /metrics of the service at a URL that is asked for each time: it may change with a start. */
export function pagesOf(url: () => Promise<string> | string): Pick<SinkPart, 'health' | 'metrics'> {
  return {
    health: async () => {
      const text = await get(`${await url()}/health`, 1_000)
      return text === undefined ? undefined : (JSON.parse(text) as Record<string, unknown>)
    },
    metrics: async () => await get(`${await url()}/metrics`, 1_000),
  }
}
