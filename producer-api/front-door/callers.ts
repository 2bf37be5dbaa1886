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

/** Whoever has a limit; the subclasses say which. Made for each request, so without closures. */
abstract class LimitedCaller implements Caller {
  readonly kind = 'caller'
  readonly label: string | undefined
  readonly onlyUser: string | undefined

  constructor(label: string | undefined, onlyUser: string | undefined) {
    this.label = label
    this.onlyUser = onlyUser
  }

  /** Takes events from the limit, all or none; negative, gives them back. */
  protected abstract take(events: number, nowMs: number): Over | undefined

  takeRequest(nowMs: number): Refusal | undefined {
    const over = this.take(1, nowMs)
    return over && tooMany(over)
  }

  takeRest(events: number): Refusal | undefined {
    if (events <= 1) return undefined
    const nowMs = performance.now()
    const over = this.take(events - 1, nowMs)
    if (over === undefined) return undefined
    this.take(-1, nowMs)
    return tooMany(over)
  }
}

/** The caller of a key: its limit is that of the key, by its label. */
export class KeyCaller extends LimitedCaller {
  readonly #key: Key
  readonly #limits: KeyLimits

  constructor(key: Key, limits: KeyLimits) {
    super(key.label, undefined)
    this.#key = key
    this.#limits = limits
  }

  protected take(events: number, nowMs: number): Over | undefined {
    return this.#limits.take(this.#key, events, nowMs)
  }
}

/** The caller of a token: its limit is that of the token's subject. */
export class TokenCaller extends LimitedCaller {
  readonly #subject: string
  readonly #limit: SubjectLimit | undefined

  /** @param subject undefined if the token has none: all such tokens share one limit */
  constructor(subject: string | undefined, limit: SubjectLimit | undefined, mustBeUser: boolean) {
    super(undefined, mustBeUser ? (subject ?? '') : undefined)
    this.#subject = subject ?? ''
    this.#limit = limit
  }

  protected take(events: number, nowMs: number): Over | undefined {
    return this.#limit?.take(this.#subject, events, nowMs)
  }
}
