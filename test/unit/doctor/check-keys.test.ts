import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { revokeKey, rotateKey } from '../../../access/change-keys.ts'
import type { Key } from '../../../access/key-file.ts'
import { runChecks } from '../../../doctor/checks.ts'
import type { Facts } from '../../../doctor/facts.ts'
import type { Finding } from '../../../doctor/finding.ts'
import { testBroken } from './broken.ts'
import { healthy, keyFileOf, READ_AT_MS, secret, serverKey } from './healthy.ts'

const DAY_MS = 86_400_000
const YEAR = 365

function browser(label: string, change: Partial<Key> = {}): Key {
  const origins = ['https://shop.example']
  return { ...serverKey(label, secret(label)), kind: 'browser', origins, eventsPerSecond: 500, ...change }
}

function withKeys(...keys: Key[]): Facts {
  return { ...healthy(), keyFile: keyFileOf(...keys) }
}

function findings(facts: Facts): Finding[] {
  return runChecks(facts).filter(({ check, level }) => check === 'keys' && level !== 'ok')
}

const forever = serverKey('app', secret('a1'))

testBroken([
  [
    'a key that expires within 14 days',
    withKeys(forever, serverKey('old', secret('o1', 3))),
    'keys',
    'warning',
    /^Key "old" \(secret o1\) expires at 2027-02-03T12:00:00Z, in 3 days: from then on, its clients get 401\.$/,
  ],
  [
    'a key that was made for a few days',
    withKeys(serverKey('trial', secret('t1', 3, -4))),
    'keys',
    'note',
    /^Key "trial" \(secret t1\) expires/,
  ],
  [
    'both secrets of a rotated key expire within 14 days',
    withKeys(serverKey('app', secret('a1', 3), secret('a2', 10))),
    'keys',
    'warning',
    /\(secret a2\) expires at 2027-02-10T12:00:00Z, in 10 days/,
  ],
  [
    'the old secret of a rotated key that ends soon',
    withKeys(serverKey('app', secret('a1', 3), secret('a2'))),
    'keys',
    'note',
    /^Of key "app", the secret a1 ends at 2027-02-03T12:00:00Z, in 3 days: clients that still send it then get 401\.$/,
  ],
  [
    'secrets that have expired',
    withKeys(forever, serverKey('gone', secret('g1', -1)), serverKey('app2', secret('b1', 0), secret('b2'))),
    'keys',
    'note',
    /^Still in \/keys\/keys\.json, although expired: g1 of key "gone" and b1 of key "app2"\./,
  ],
  [
    'browser keys without origins',
    withKeys(browser('shop', { origins: [] }), browser('blog', { origins: [] })),
    'keys',
    'warning',
    /no origins, so each request with them gets 403: "shop" and "blog"\.$/,
  ],
  [
    'a browser key with an origin that any page can have',
    withKeys(browser('shop', { origins: ['null', 'https://shop.example'] })),
    'keys',
    'note',
    /the origin "null", so pages of any site can use them: "shop"\.$/,
  ],
  [
    'browser keys without a limit',
    withKeys(browser('shop', { eventsPerSecond: undefined, burst: 5_000 }), browser('blog')),
    'keys',
    'warning',
    /have no limit \(KEY_EVENTS_PER_SECOND is not set here, either\): "shop"\.$/,
  ],
])

test('keys in order are ok: those that last, limits by default, and what is expired anyway', () => {
  const { settings } = healthy()
  const expired = browser('gone', { origins: [], eventsPerSecond: undefined, secrets: [secret('g1', -1)] })
  const noLimit = browser('shop', { eventsPerSecond: undefined })
  assert.deepEqual(findings(withKeys(forever, serverKey('app2', secret('b1', 14.001)), browser('shop'))), [])
  assert.deepEqual(findings({ ...withKeys(noLimit), settings: { ...settings, keyEventsPerSecond: 100 } }), [])
  assert.deepEqual(
    findings(withKeys(expired)).map(({ level }) => level),
    ['note'],
  )
  const [ok] = runChecks(withKeys(forever)).filter(({ check }) => check === 'keys')
  assert.deepEqual(ok, {
    check: 'keys',
    level: 'ok',
    text: '/keys/keys.json has 1 key: none expires within 14 days, and browser keys have origins and a limit.',
  })
})

test('whichever keys there are, the commands of the findings leave none that needs one', () => {
  const days = fc.option(fc.integer({ min: -20, max: 400 }), { nil: undefined })
  const secrets = fc.array(fc.tuple(days, fc.integer({ min: -YEAR, max: -1 })), {
    minLength: 1,
    maxLength: 3,
  })
  fc.assert(
    fc.property(fc.array(secrets, { minLength: 1, maxLength: 5 }), (all) => {
      let keys: readonly Key[] = all.map((each, n) =>
        serverKey(`key-${n}`, ...each.map(([end, created], at) => secret(`${n}${at}`, end, created))),
      )
      for (let n = 0; ; n++) {
        const commands = findings(withKeys(...keys)).flatMap(({ mend = '' }) => [
          ...mend.matchAll(/keys (?:rotate|revoke) .*?(?= &&| \(|$)/g),
        ])
        if (commands.length === 0) return
        assert.ok(n < 20, 'the commands do not help')
        for (const [command] of commands) keys = apply(keys, command)
      }
    }),
  )
})

/** What `firehose keys rotate` or `revoke` does. */
function apply(keys: readonly Key[], command: string): readonly Key[] {
  const [, verb, name = ''] = command.split(' ')
  if (verb === 'revoke') return revokeKey({ keys }, name).keys
  const { createdMs, expiresMs = Infinity } = keys.find(({ label }) => label === name)!.secrets.at(-1)!
  const lifetimeMs = command.includes('--expires 365d') ? YEAR * DAY_MS : expiresMs - createdMs
  assert.match(command, / --overlap 7d/)
  const next = {
    ...secret(`${name}-next-${keys.length}`),
    createdMs: READ_AT_MS,
    expiresMs: READ_AT_MS + lifetimeMs,
  }
  return rotateKey({ keys }, name, next, { nowMs: READ_AT_MS, overlapMs: 7 * DAY_MS }).keys
}

test('commands to copy have a path as one word, also one that an API says', () => {
  const path = '/keys/a; id #.json'
  const open = { ...keyFileOf(forever), path, mode: 0o100604 }
  const mends = (facts: Facts): string[] => findings(facts).flatMap(({ mend = '' }) => mend)
  assert.deepEqual(mends({ ...healthy(), keyFile: open }), [`chmod o-rwx '${path}'`])
  const { api } = healthy()
  assert.ok(api.answer.ok)
  const access = { anonymous: 'no', keys: { path, keys: 1 } }
  const value = { ...api.answer.value, health: { ...api.answer.value.health, access } }
  assert.deepEqual(
    mends({ ...healthy(), keyFile: undefined, api: { ...api, answer: { ok: true, value } } }),
    [`Where the API has its file: API_KEYS_FILE='${path}' npx firehose doctor`],
  )
})
