import { kafkaErrorType, rootMessage } from '../kafka/errors.ts'
import { describeError } from '../sink-worker/outage/sqlstate.ts'
import type { Look } from './finding.ts'

/** Never rejects: what failed says why, in one line. */
export async function look<T>(work: () => Promise<T>): Promise<Look<T>> {
  try {
    return { ok: true, value: await work() }
  } catch (error) {
    return { ok: false, error: reasonOf(error) }
  }
}

/** As look(), and after `limitMs` the answer is that there was none. */
export async function lookWithin<T>(limitMs: number, work: () => Promise<T>): Promise<Look<T>> {
  let timer: NodeJS.Timeout | undefined
  const limit = new Promise<Look<T>>((resolve) => {
    const late = { ok: false, error: `no answer within ${limitMs / 1_000} s` } as const
    timer = setTimeout(() => resolve(late), limitMs)
  })
  const answer = await Promise.race([look(work), limit])
  clearTimeout(timer)
  return answer
}

function reasonOf(error: unknown): string {
  // Several addresses were tried: the error that holds theirs has no message of its own.
  if (error instanceof AggregateError) return error.errors.map(reasonOf).join('; ')
  const type = kafkaErrorType(error)
  const text = type === undefined ? describeError(error) : `${rootMessage(error)} (${type})`
  return text.replaceAll('\n', ' ').replace(/\.$/, '')
}
