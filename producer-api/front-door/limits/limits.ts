/**
 * How much clients may send: the limits of an address, of a key and of a token's subject. Each process limits on its own:
 * this protects it from abuse, and counts nothing that could be billed.
 */
import { MAX_BATCH_EVENTS } from '../../../event/limits.ts'
import { ipv6Parts } from '../../http/ip-address.ts'
import type { Refusal } from '../../intake/answer.ts'
import { type Rate, rateOf, tatAfter, tatAtRate, waitMs } from './gcra.ts'
import { Slots } from './slots.ts'

/** A limit that a client has reached, and when it may send again. */
export interface Over {
  policy: 'address' | 'key' | 'subject'
  /** Per second. */
  rate: number
  burst: number
  waitMs: number
}

/** Limits the requests of each client's address: ADDRESS_REQUESTS_PER_SECOND, ADDRESS_BURST. */
export class AddressLimit {
  readonly #slots: Slots

  constructor(perSecond: number, burst: number) {
    this.#slots = new Slots(rateOf(perSecond, burst))
  }

  /**
   * Takes one request.
   *
   * @param address as clientAddress() gives it; undefined: all clients whose address is not known share a bucket
   */
  take(address: string | undefined, nowMs: number): Over | undefined {
    return over('address', this.#slots.rate, this.#slots.take(networkOf(address), 1, nowMs))
  }
}

/** Limits the events of each subject of tokens: KEY_EVENTS_PER_SECOND, KEY_BURST. */
export class SubjectLimit {
  readonly #slots: Slots

  constructor(perSecond: number, burst: number) {
    this.#slots = new Slots(rateOf(perSecond, burst))
  }

  /**
   * Takes `n` events, all or none.
   *
   * @param subject of any length: it is hashed as a whole
   * @param n as for keys
   */
  take(subject: string, n: number, nowMs: number): Over | undefined {
    return over('subject', this.#slots.rate, this.#slots.take(subject, n, nowMs))
  }
}

/** What a key's limit depends on; both secrets of a key that is being rotated have the same label. */
export interface LimitedKey {
  label: string
  eventsPerSecond: number | undefined
  burst: number | undefined
}

interface Bucket {
  /** The one that the rate is of. When the file of keys is read again, there is another one for the same label. */
  key: LimitedKey
  rate: Rate
  tatMs: number
}

const SWEEP_MS = 60_000

/** Limits the events of each key, exactly: its own limit, or else KEY_EVENTS_PER_SECOND and KEY_BURST. */
export class KeyLimits {
  readonly #defaults: { perSecond: number | undefined; burst: number }
  readonly #buckets = new Map<string, Bucket>()
  #sweepAtMs = 0

  /** @param defaults undefined: keys without a rate of their own have no limit */
  constructor(defaults: { perSecond: number | undefined; burst: number } | undefined) {
    this.#defaults = defaults ?? { perSecond: undefined, burst: MAX_BATCH_EVENTS }
  }

  /**
   * Takes `n` events, all or none.
   *
   * @param n if negative, gives back what was taken for a request that is refused after all. Otherwise a client that
   *   sends small batches too fast would get nothing at all: each of them would take what the next one lacks
   */
  take(key: LimitedKey, n: number, nowMs: number): Over | undefined {
    if (nowMs >= this.#sweepAtMs) this.#sweep(nowMs)
    const known = this.#buckets.get(key.label)
    const bucket = known?.key === key ? known : this.#bucketOf(key, known, nowMs)
    if (bucket === undefined) return undefined
    const { rate, tatMs } = bucket
    const wait = waitMs(tatMs, nowMs, n, rate)
    if (wait === 0) bucket.tatMs = tatAfter(tatMs, nowMs, n, rate)
    return over('key', rate, wait)
  }

  /** The bucket of a label's first or changed key; undefined if it has no limit. */
  #bucketOf(key: LimitedKey, before: Bucket | undefined, nowMs: number): Bucket | undefined {
    const perSecond = key.eventsPerSecond ?? this.#defaults.perSecond
    if (perSecond === undefined) return undefined
    const rate = rateOf(perSecond, key.burst ?? this.#defaults.burst)
    const tatMs = before === undefined ? 0 : tatAtRate(before.tatMs, nowMs, before.rate, rate)
    const bucket = { key, rate, tatMs }
    this.#buckets.set(key.label, bucket)
    return bucket
  }

  /** Forgets the buckets that are as good as new, and so those of keys that are gone. */
  #sweep(nowMs: number): void {
    this.#sweepAtMs = nowMs + SWEEP_MS
    for (const [label, { tatMs }] of this.#buckets) if (tatMs <= nowMs) this.#buckets.delete(label)
  }
}

/** What has a bucket of its own: an IPv4 address; of IPv6 a /64, because one client can use all addresses of its /64. */
function networkOf(address = ''): string {
  if (!address.includes(':')) return address
  // An IPv4 one at its end is not read right, but is only ever written after six parts that are 0.
  const [a = 0, b = 0, c = 0, d = 0] = ipv6Parts(address)
  return String.fromCharCode(a, b, c, d)
}

function over(policy: Over['policy'], { perSecond, burst }: Rate, wait: number): Over | undefined {
  return wait === 0 ? undefined : { policy, rate: perSecond, burst, waitMs: wait }
}

const LIMITED = {
  address: { unit: 'requests', by: 'from this address' },
  key: { unit: 'events', by: 'with this key' },
  subject: { unit: 'events', by: "from this token's subject" },
}

/**
 * The 429. Its fields are those of draft-ietf-httpapi-ratelimit-headers-11: the policy as a quota `q` of units `qu` in a
 * window of `w` seconds; and that nothing (`r`) is left for the next `t` seconds, which are those of Retry-After. The
 * draft has no field for a burst, so that parameter has our name.
 */
export function tooMany({ policy, rate, burst, waitMs: wait }: Over): Refusal {
  const { unit, by } = LIMITED[policy]
  const seconds = Math.max(1, Math.ceil(wait / 1_000))
  // A quota is a whole number: of less than one per second, the window is longer.
  const window = Math.ceil(1 / rate)
  return {
    kind: 'refused',
    problem: 'rate-limited',
    detail: `Too many ${unit} ${by}: the limit is ${rate} per second, and ${burst} at once. Nothing was accepted; send the same again in ${seconds} s.`,
    headers: {
      'Retry-After': String(seconds),
      'RateLimit-Policy': `"${policy}";q=${Math.floor(rate * window)};w=${window};qu="${unit}";firehose-burst=${burst}`,
      RateLimit: `"${policy}";r=0;t=${seconds}`,
    },
  }
}
