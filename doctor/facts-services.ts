import type { Look } from './finding.ts'
import { look } from './look.ts'

/** What one of our services says of itself. */
export interface ServiceFacts {
  url: string
  /** Whether the user named this address; else nothing need be there. */
  named: boolean
  answer: Look<{
    ready: boolean
    /** Why it is not ready. */
    reason: string | undefined
    /** The JSON of /health. */
    health: Readonly<Record<string, unknown>>
  }>
}

const LIMIT_MS = 3_000

export async function askService(url: string, named: boolean): Promise<ServiceFacts> {
  const answer = await look(async () => {
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
    throw cause ?? error // fetch itself says "fetch failed" only
  }
  return { ok: response.ok, json: (await response.json()) as Record<string, unknown> }
}
