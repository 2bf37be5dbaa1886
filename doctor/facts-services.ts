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
    /** The JSON of /health. */
    health: Readonly<Record<string, unknown>>
  }>
}

const LIMIT_MS = 3_000

export async function askService(url: string, named: boolean): Promise<ServiceFacts> {
  const answer = await attempt(async () => {
    const ready = await get(url, '/readyz')
    const health = await get(url, '/health')
    const { reason } = ready.json
    return {
      ready: ready.ok,
      reason: typeof reason === 'string' ? reason : undefined,
      health: health.json,
    }
  })
  return { url, named, answer }
}

async function get(url: string, path: string): Promise<{ ok: boolean; json: Record<string, unknown> }> {
  let response: Response
  try {
    response = await fetch(new URL(path, url), { signal: AbortSignal.timeout(LIMIT_MS) })
  } catch (error) {
    const { name, cause } = error as Error
    if (name === 'TimeoutError') throw new Error(`no answer within ${LIMIT_MS / 1_000} s`, { cause: error })
    throw cause ?? error // the message of fetch itself is only "fetch failed"
  }
  return { ok: response.ok, json: (await response.json()) as Record<string, unknown> }
}
