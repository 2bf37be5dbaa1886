/** Whom requests come from, once their credential was checked. */
import type { Key } from '../../access/key-file.ts'
import type { Refusal } from '../intake/answer.ts'
import { type KeyLimits, type SubjectLimit, tooMany } from './limits/limits.ts'

export interface Caller {
  readonly kind: 'caller'
  /** The label of its key: the source of events that have none. */
  readonly label: string | undefined
  /** The subject of its token, if all events must have it as their user_id. */
  readonly onlyUser: string | undefined
  /** Asks the limit for one request, which stands for its first event. */
  takeRequest: () => Refusal | undefined
  /** Asks the limit for the events after the first one. */
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
  const take = (events: number): Refusal | undefined => {
    const over = limits.take(key, events, performance.now())
    return over && tooMany(over)
  }
  return {
    kind: 'caller',
    label: key.label,
    onlyUser: undefined,
    takeRequest: () => take(1),
    takeRest: (events) => (events > 1 ? take(events - 1) : undefined),
  }
}

/** The caller of a token. @param subject undefined if the token has none: then all such tokens share one limit */
export function callerOfToken(
  subject: string | undefined,
  limit: SubjectLimit | undefined,
  mustBeUser: boolean,
): Caller {
  const take = (events: number): Refusal | undefined => {
    const over = limit?.take(subject ?? '', events, performance.now())
    return over && tooMany(over)
  }
  return {
    kind: 'caller',
    label: undefined,
    onlyUser: mustBeUser ? (subject ?? '') : undefined,
    takeRequest: () => take(1),
    takeRest: (events) => (events > 1 ? take(events - 1) : undefined),
  }
}
