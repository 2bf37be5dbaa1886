import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import * as fc from 'fast-check'
import {
  AddressLimit,
  KeyLimits,
  type LimitedKey,
  type Over,
  SubjectLimit,
  tooMany,
} from '../../../../../producer-api/front-door/limits/limits.ts'
import { until } from '../../../../support/until.ts'

const DEFAULTS = { perSecond: 10, burst: 1_000 }

function key(label: string, eventsPerSecond?: number, burst?: number): LimitedKey {
  return { label, eventsPerSecond, burst }
}

test('an address may send its burst, then as many requests per second as its rate', () => {
  const limit = new AddressLimit(2, 3)
  const takes = [0, 0, 0, 0, 499, 500, 999, 1_000].map(
    (ms) => limit.take('203.0.113.7', 7 + ms) === undefined,
  )
  assert.deepEqual(takes, [true, true, true, false, false, true, false, true])
  assert.equal(limit.take('203.0.113.8', 7), undefined, 'another address')
  assert.deepEqual(limit.take('203.0.113.7', 1_007), { policy: 'address', rate: 2, burst: 3, waitMs: 500 })
})

test('a key and a subject may send their burst, then as many events per second as their rate', () => {
  const keys = new KeyLimits({ perSecond: 500, burst: 1_000 })
  const subjects = new SubjectLimit(500, 1_000)
  const shop = key('shop')
  for (const [policy, take] of [
    ['key', (n: number, ms: number) => keys.take(shop, n, ms)],
    ['subject', (n: number, ms: number) => subjects.take('shop', n, ms)],
  ] as const) {
    assert.equal(take(1, 5), undefined)
    assert.equal(take(999, 5), undefined)
    assert.deepEqual(take(1, 5), { policy, rate: 500, burst: 1_000, waitMs: 2 })
    assert.deepEqual(take(1_000, 1_005), { policy, rate: 500, burst: 1_000, waitMs: 1_000 })
    assert.equal(take(500, 1_005), undefined)
  }
  assert.equal(keys.take(key('other'), 1_000, 5), undefined)
  assert.equal(subjects.take('other', 1_000, 5), undefined)
})

test('property: what is refused changes nothing', () => {
  const takes = fc.array(
    fc.record({ n: fc.integer({ min: 1, max: 1_000 }), after: fc.oneof(fc.constant(0), fc.nat(3_000)) }),
    { maxLength: 40 },
  )
  const shop = key('shop')
  /** Two limits of each kind: the first is asked for all takes, the second only for those that the first admits. */
  const pairs = [0, 1].map(() => ({
    keys: new KeyLimits({ perSecond: 300, burst: 1_000 }),
    subjects: new SubjectLimit(300, 1_000),
  }))
  const takers = (['keys', 'subjects'] as const).map((kind) =>
    pairs.map(
      (pair) =>
        (n: number, nowMs: number): Over | undefined =>
          kind === 'keys' ? pair.keys.take(shop, n, nowMs) : pair.subjects.take('shop', n, nowMs),
    ),
  )
  let nowMs = 0
  fc.assert(
    fc.property(takes, (list) => {
      nowMs += 10_000
      for (const { n, after } of list) {
        nowMs += after
        for (const [ofAll, ofAdmitted] of takers)
          if (ofAll!(n, nowMs) === undefined) assert.equal(ofAdmitted!(n, nowMs), undefined)
      }
      for (const [ofAll, ofAdmitted] of takers)
        assert.deepEqual(ofAll!(1_000, nowMs), ofAdmitted!(1_000, nowMs))
    }),
  )
})

test('who sends ten times as much gets the rate, in batches of any size, if refused ones are given back', () => {
  const SECONDS = 60
  const shop = key('shop')
  for (const size of [1, 2, 10, 100, 1_000]) {
    const keys = new KeyLimits({ perSecond: 1_000, burst: 1_000 })
    const subjects = new SubjectLimit(1_000, 1_000)
    for (const take of [
      (n: number, nowMs: number) => keys.take(shop, n, nowMs),
      (n: number, nowMs: number) => subjects.take('shop', n, nowMs),
    ]) {
      let accepted = 0
      for (let nowMs = 0; nowMs < SECONDS * 1_000; nowMs += size / 10) {
        // One for the request, the rest when its events are counted.
        if (take(1, nowMs) !== undefined) continue
        if (take(size - 1, nowMs) === undefined) accepted += size
        else take(-1, nowMs)
      }
      const allowed = 1_000 + SECONDS * 1_000
      assert.ok(accepted <= allowed && accepted > 0.98 * allowed, `${accepted} in batches of ${size}`)
    }
  }
})

test('a key has its own limit, or else the default one, or none', () => {
  const refused = (limits: KeyLimits, one: LimitedKey): Over | undefined =>
    limits.take(one, 1_000, 5) ?? limits.take(one, 1_000, 5)
  const withDefaults = new KeyLimits({ perSecond: 10, burst: 1_500 })
  assert.deepEqual(refused(withDefaults, key('a')), { policy: 'key', rate: 10, burst: 1_500, waitMs: 50_000 })
  assert.deepEqual(refused(withDefaults, key('b', 20)), {
    policy: 'key',
    rate: 20,
    burst: 1_500,
    waitMs: 25_000,
  })
  assert.deepEqual(refused(withDefaults, key('c', 20, 1_900))?.waitMs, 5_000)
  assert.deepEqual(refused(withDefaults, key('d', undefined, 1_900))?.waitMs, 10_000)
  for (const without of [new KeyLimits(undefined), new KeyLimits({ perSecond: undefined, burst: 1_000 })]) {
    assert.equal(refused(without, key('a')), undefined)
    assert.equal(refused(without, key('b', undefined, 1_000)), undefined)
    assert.deepEqual(refused(without, key('c', 20))?.waitMs, 50_000)
  }
  assert.equal(refused(new KeyLimits({ perSecond: undefined, burst: 1_500 }), key('a', 20))?.waitMs, 25_000)
})

test('when the keys are read again, a label keeps what it has taken, and a changed rate applies at once', () => {
  const limits = new KeyLimits(DEFAULTS)
  assert.equal(limits.take(key('shop', 1), 1_000, 5), undefined)
  assert.equal(limits.take(key('shop', 1), 1, 5)?.waitMs, 1_000)
  assert.equal(limits.take(key('shop', 1_000), 1, 5)?.waitMs, 1, 'raised')
  assert.equal(limits.take(key('shop', 1_000), 400, 505), undefined)
  assert.equal(limits.take(key('shop', 1), 101, 505)?.waitMs, 1_000, 'lowered')
  assert.equal(limits.take(key('shop', undefined, 2_000), 1_100, 505), undefined, 'a larger burst')
  const unlimited = new KeyLimits(undefined)
  assert.equal(unlimited.take(key('shop', 1), 1_000, 5), undefined)
  assert.equal(unlimited.take(key('shop'), 1_000, 5), undefined, 'no limit any more')
})

test('of a key that is gone, nothing stays', async () => {
  setFlagsFromString('--expose-gc')
  const collectGarbage = runInNewContext('gc') as () => void
  const limits = new KeyLimits(DEFAULTS)
  const gone = new WeakRef(takeOnce(limits, 5))
  limits.take(key('shop'), 1, 50_000)
  await until('nothing refers to the key', () => {
    limits.take(key('shop'), 1, 70_000)
    collectGarbage()
    return gone.deref() === undefined
  })
})

function takeOnce(limits: KeyLimits, nowMs: number): LimitedKey {
  const one = key('gone')
  limits.take(one, 1, nowMs)
  return one
}

test('a 429 says how much is allowed and when to send again, in fields for programs too', () => {
  assert.deepEqual(tooMany({ policy: 'key', rate: 500, burst: 1_000, waitMs: 2_000.5 }), {
    kind: 'refused',
    problem: 'rate-limited',
    detail:
      'Too many events with this key: the limit is 500 per second, and 1000 at once. Nothing was accepted; send the same again in 3 s.',
    headers: {
      'Retry-After': '3',
      'RateLimit-Policy': '"key";q=500;w=1;qu="events";firehose-burst=1000',
      RateLimit: '"key";r=0;t=3',
    },
  })
  const { detail, headers } = tooMany({ policy: 'address', rate: 0.3, burst: 3, waitMs: 2 })
  assert.match(
    detail,
    /^Too many requests from this address: the limit is 0\.3 per second, and 3 at once\. .* in 1 s\.$/,
  )
  assert.deepEqual(headers, {
    'Retry-After': '1',
    'RateLimit-Policy': '"address";q=1;w=4;qu="requests";firehose-burst=3',
    RateLimit: '"address";r=0;t=1',
  })
  assert.match(
    tooMany({ policy: 'subject', rate: 5, burst: 1_000, waitMs: 1_000 }).detail,
    /subject.* in 1 s\.$/,
  )
})

test('property: who waits as long as Retry-After says is admitted', () => {
  const addresses = new AddressLimit(0.05, 3)
  const subjects = new SubjectLimit(77, 1_000)
  const keys = new KeyLimits({ perSecond: 77, burst: 1_000 })
  const shop = key('shop')
  const takers: ((n: number, nowMs: number) => Over | undefined)[] = [
    (_, nowMs) => addresses.take('203.0.113.7', nowMs),
    (n, nowMs) => subjects.take('shop', n, nowMs),
    (n, nowMs) => keys.take(shop, n, nowMs),
  ]
  let nowMs = 0
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 1_000 }),
      fc.double({ min: 0, max: 900, noNaN: true }),
      (n, after) => {
        nowMs += after
        for (const take of takers) {
          const over = take(n, nowMs)
          if (over === undefined) continue
          const seconds = Number(tooMany(over).headers?.['Retry-After'])
          assert.ok(Number.isInteger(seconds) && seconds >= 1)
          nowMs += seconds * 1_000
          assert.equal(take(n, nowMs), undefined)
        }
      },
    ),
    { numRuns: 1_000 },
  )
})
