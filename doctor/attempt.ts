import { kafkaErrorType, rootMessage } from '../kafka/errors.ts'
import { describeError } from '../sink-worker/outage/sqlstate.ts'
import type { Result } from './finding.ts'

/** Runs the work and returns its result or, in one line, why it failed. Never rejects. */
export async function attempt<T>(work: () => Promise<T>): Promise<Result<T>> {
  try {
    return { ok: true, value: await work() }
  } catch (error) {
    return { ok: false, error: reasonOf(error) }
  }
}

/** Like attempt(), but fails after `limitMs`. */
export async function attemptWithin<T>(limitMs: number, work: () => Promise<T>): Promise<Result<T>> {
  let timer: NodeJS.Timeout | undefined
  const limit = new Promise<Result<T>>((resolve) => {
    const late = { ok: false, error: `no answer within ${limitMs / 1_000} s` } as const
    timer = setTimeout(() => resolve(late), limitMs)
  })
  const answer = await Promise.race([attempt(work), limit])
  clearTimeout(timer)
  return answer
}

function reasonOf(error: unknown): string {
  // Several addresses were tried: an AggregateError has no message of its own.
  if (error instanceof AggregateError) return error.errors.map(reasonOf).join('; ')
  const type = kafkaErrorType(error)
  const text = type === undefined ? describeError(error) : `${rootMessage(error)} (${type})`
  return text.replaceAll('\n', ' ').replace(/\.$/, '')
}
