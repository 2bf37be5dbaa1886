/** Whom requests come from, once their credential was checked. */
import type { Key } from '../../access/key-file.ts'
import type { Refusal } from '../intake/answer.ts'
import { type KeyLimits, type Over, type SubjectLimit, tooMany } from './limits/limits.ts'

export interface Caller {
  readonly kind: 'caller'
  /** The label of its key: the source of events that have none. */
  readonly label: string | undefined
  /** The subject of its token, if all events must have it as their user_id. */
  readonly onlyUser: string | undefined
  /** Asks the limit for one request, which stands for its first event. @param nowMs of performance.now() */
  takeRequest: (nowMs: number) => Refusal | undefined
  /**
   * Asks the limit for the events after the first one. If they are too many, the first one is given back: else who sends
   * batches too fast would get far less than the rate, because each refused request would take what the next one lacks.
   */
  takeRest: (events: number) => Refusal | undefined
}

/** Somebody without a credential, where that is allowed. */
export const ANYONE: Caller = {
  kind: 'caller',
  label: undefined,
  onlyUser: undefined,
  takeRequest: () => undefined,
  takeRest: () => undefined,
}

/** The caller of a key; one for all its requests. */
export function callerOfKey(key: Key, limits: KeyLimits): Caller {
  return limitedCaller({ label: key.label, onlyUser: undefined }, (events, nowMs) =>
    limits.take(key, events, nowMs),
  )
}

/** The caller of a token. @param subject undefined if the token has none: all such tokens share one limit */
export function callerOfToken(
  subject: string | undefined,
  limit: SubjectLimit | undefined,
  mustBeUser: boolean,
): Caller {
  const onlyUser = mustBeUser ? (subject ?? '') : undefined
  return limitedCaller({ label: undefined, onlyUser }, (events, nowMs) =>
    limit?.take(subject ?? '', events, nowMs),
  )
}

function limitedCaller(
  who: Pick<Caller, 'label' | 'onlyUser'>,
  take: (events: number, nowMs: number) => Over | undefined,
): Caller {
  return {
    kind: 'caller',
    ...who,
    takeRequest: (nowMs) => {
      const over = take(1, nowMs)
      return over && tooMany(over)
    },
    takeRest: (events) => {
      if (events <= 1) return undefined
      const nowMs = performance.now()
      const over = take(events - 1, nowMs)
      if (over === undefined) return undefined
      take(-1, nowMs)
      return tooMany(over)
    },
  }
}
