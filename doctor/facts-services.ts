import type { Result } from './finding.ts'
import { attempt } from './attempt.ts'

/** The answers of the API or of a sink. */
export interface ServiceFacts {
  url: string
  /** Whether the user gave this address; otherwise it is the default, where nothing has to run. */
  named: boolean
  answer: Result<{
    ready: boolean
    /** Why it is not ready. */
    reason: string | undefined
    /** The JSON of /health; empty if there is none. */
    health: Readonly<Record<string, unknown>>
    /** Why there is none. */
    healthProblem?: string
  }>
}

const LIMIT_MS = 3_000

export interface ServiceAddress {
  url: string
  named: boolean
  /** Where it serves /health, if that may be elsewhere: then the service answers although that does not. */
  opsUrl?: string
}

export async function askService({ url, named, opsUrl }: ServiceAddress): Promise<ServiceFacts> {
  const answer = await attempt(async () => {
    const ready = await get(url, '/readyz')
    const { reason } = ready.json
    return {
      ready: ready.ok,
      reason: typeof reason === 'string' ? reason : undefined,
      ...(opsUrl === undefined ? { health: (await get(url, '/health')).json } : await healthOf(opsUrl)),
    }
  })
  return { url, named, answer }
}

async function healthOf(url: string): Promise<{ health: Record<string, unknown>; healthProblem?: string }> {
  const answer = await attempt(async () => await get(url, '/health'))
  if (!answer.ok) return { health: {}, healthProblem: `${url}: ${answer.error}` }
  const { ok, status, json } = answer.value
  return ok ? { health: json } : { health: {}, healthProblem: `${url} answers ${status}` }
}

interface Answer {
  ok: boolean
  status: number
  json: Record<string, unknown>
}

async function get(url: string, path: string): Promise<Answer> {
  let response: Response
  try {
    response = await fetch(new URL(path, url), { signal: AbortSignal.timeout(LIMIT_MS) })
  } catch (error) {
    const { name, cause } = error as Error
    if (name === 'TimeoutError') throw new Error(`no answer within ${LIMIT_MS / 1_000} s`, { cause: error })
    throw cause ?? error // the message of fetch itself is only "fetch failed"
  }
  const json = (await response.json()) as Record<string, unknown>
  return { ok: response.ok, status: response.status, json }
}
