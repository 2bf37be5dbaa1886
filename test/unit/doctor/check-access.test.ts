import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runChecks } from '../../../doctor/checks.ts'
import type { KeyFile, KeyFileFacts } from '../../../doctor/facts-access.ts'
import type { Facts } from '../../../doctor/facts.ts'
import type { Finding } from '../../../doctor/finding.ts'
import { testBroken } from './broken.ts'
import { healthy, keyFileOf, ok, secret, serverKey } from './healthy.ts'

const API_URL = 'http://api:8000'
const KEYS = { path: '/keys/keys.json', loadedAtMs: 1, keys: 3 }
const TOKENS = { keys: 2, fetchedAtMs: 1, fetches: 1 }
const REASON = 'API_KEYS_FILE cannot be read: /keys/keys.json: no such file or directory'
const JWKS_REASON =
  'the JWKS https://login.example/jwks does not answer (ECONNREFUSED): check JWT_JWKS_URL. Requests get 503'

const FILE = keyFileOf(serverKey('app', secret('a1')))

/** An API that reports this, and the key file as the doctor sees it. */
function facts(access: object | undefined, keyFile: KeyFileFacts | undefined): Facts {
  const health = { user_id_type: 'bigint', ...(access === undefined ? {} : { access }) }
  const answer = ok({ ready: true, reason: undefined, health })
  return { ...healthy(), keyFile, api: { url: API_URL, named: true, answer } }
}

/** An API that would take anyone's events from its own machine only, asked at this address. */
function localAt(url: string): Facts {
  const { api, ...others } = facts({ anonymous: 'local' }, undefined)
  return { ...others, api: { ...api, url } }
}

const withFile = (change: Partial<KeyFile>): Facts =>
  facts({ anonymous: 'no', keys: KEYS }, { ...FILE, ...change })
const unreadable: KeyFileFacts = {
  kind: 'unreadable',
  path: '/keys/keys.json',
  problems: ['cannot be read: /keys/keys.json: permission denied'],
}
const wrong: KeyFileFacts = {
  kind: 'wrong',
  path: '/keys/keys.json',
  problems: ['is wrong: /keys/keys.json: a', 'b', 'c'],
}

testBroken([
  [
    'ALLOW_ANONYMOUS',
    facts({ anonymous: 'public', keys: KEYS }, FILE),
    'access',
    'warning',
    /Anyone who reaches the API .* ALLOW_ANONYMOUS/,
  ],
  [
    'an API without keys that answers at an address of others',
    localAt('http://events.example.com'),
    'access',
    'warning',
    /takes its address for one of its own machine only .*; but it answers at http:\/\/events\.example\.com\.$/,
  ],
  [
    'an API that keeps old keys',
    facts({ anonymous: 'no', keys: { ...KEYS, problem: REASON } }, FILE),
    'access',
    'warning',
    /keeps the keys that it had: API_KEYS_FILE cannot be read/,
  ],
  [
    'an API without any key left',
    facts({ anonymous: 'no', keys: { ...KEYS, keys: 0 } }, FILE),
    'access',
    'critical',
    /has no key left: it refuses everybody \(401\)/,
  ],
  [
    'an API without any key left, but with tokens',
    facts({ anonymous: 'no', keys: { ...KEYS, keys: 0 }, tokens: TOKENS }, FILE),
    'access',
    'warning',
    /it refuses all keys \(401\)/,
  ],
  [
    'an API that cannot check tokens',
    facts({ anonymous: 'no', keys: KEYS, tokens: { ...TOKENS, keys: 0, problem: JWKS_REASON } }, FILE),
    'access',
    'critical',
    /has no keys to check tokens with: the JWKS .*Requests get 503\.$/,
  ],
  [
    'an API that checks tokens with old keys',
    facts({ anonymous: 'no', keys: KEYS, tokens: { ...TOKENS, problem: JWKS_REASON } }, FILE),
    'access',
    'warning',
    /cannot read the keys of tokens again: the JWKS/,
  ],
  [
    'a file that every user can read',
    withFile({ mode: 0o100644 }),
    'keys',
    'warning',
    /^Every user of this machine can read \/keys\/keys\.json\./,
  ],
  [
    'a file that every user can change',
    withFile({ mode: 0o100602 }),
    'keys',
    'critical',
    /can change \/keys\/keys\.json, and so make keys/,
  ],
  [
    'a folder that every user can change',
    withFile({ folders: [{ path: '/keys', mode: 0o40777 }] }),
    'keys',
    'critical',
    /can replace \/keys\/keys\.json, and so make keys/,
  ],
  [
    'a file without keys',
    withFile({ keys: [] }),
    'keys',
    'warning',
    /has no key: an API that is started with it exits with 78/,
  ],
  [
    'a file that the API does not use',
    facts({ anonymous: 'no', tokens: TOKENS }, FILE),
    'keys',
    'warning',
    /has 1 key, but the API at http:\/\/api:8000 takes none/,
  ],
  [
    'a file that is wrong',
    facts({ anonymous: 'no', keys: KEYS }, wrong),
    'keys',
    'warning',
    /^API_KEYS_FILE is wrong: \/keys\/keys\.json: a \(and 2 more\)\. An API that runs keeps/,
  ],
  [
    'a file that cannot be read here',
    facts({ anonymous: 'no', keys: KEYS }, unreadable),
    'keys',
    'unknown',
    /permission denied\. The API at http:\/\/api:8000 can read its own\.$/,
  ],
  [
    'a file that cannot be read, and an API that does not say',
    facts(undefined, unreadable),
    'keys',
    'warning',
    /^API_KEYS_FILE cannot be read: .*one that is started exits with 78/,
  ],
  [
    'keys that the doctor was not told of',
    facts({ anonymous: 'no', keys: KEYS }, undefined),
    'keys',
    'note',
    /API_KEYS_FILE is not set here/,
  ],
])

function found(of: Facts): Finding[] {
  return runChecks(of).filter(({ check }) => check === 'access' || check === 'keys')
}

test('who may write is said where nothing is wrong', () => {
  const said = (access: object, keyFile?: KeyFileFacts): string[] =>
    found(facts(access, keyFile)).map(({ level, text }) => `${level} ${text}`)
  const none = 'ok The API at http://api:8000 takes no keys.'
  assert.deepEqual(said({ anonymous: 'local' }), [
    'ok The API at http://api:8000 is published on its own machine only, where anyone may write.',
    none,
  ])
  // As in docker compose without keys: the command is told of a file that is not there.
  assert.deepEqual(said({ anonymous: 'local' }, unreadable)[1], none)
  assert.deepEqual(said({ anonymous: 'no', tokens: TOKENS }), [
    'ok Who writes to the API at http://api:8000 needs a token.',
    none,
  ])
  // Its keys are not there yet: it has only just started.
  assert.deepEqual(said({ anonymous: 'no', keys: KEYS, tokens: { keys: 0, fetches: 0 } }, FILE), [
    'ok Who writes to the API at http://api:8000 needs a key or a token.',
    'ok /keys/keys.json has 1 key: none expires within 14 days, and browser keys have origins and a limit.',
  ])
})

test('an API of an earlier version, or whose /health is elsewhere, says nothing of it', () => {
  assert.deepEqual(found(facts(undefined, undefined)), [])
  assert.deepEqual(
    found(facts(undefined, FILE)).map(({ check, level }) => `${check} ${level}`),
    ['keys ok'],
  )
})

test('only addresses that others can reach contradict an API that takes its own for local', () => {
  const isFound = (url: string): boolean => found(localAt(url)).some(({ level }) => level === 'warning')
  for (const url of [
    'http://10.0.0.7:8000',
    'https://events.example.com',
    'http://[2001:db8::1]:8000',
    'http://192.168.1.5',
  ])
    assert.ok(isFound(url), url)
  for (const url of [
    'http://127.0.0.1:8000',
    'http://[::1]:8000',
    'http://localhost:8000',
    'http://producer-api:8000',
    'http://host.docker.internal:8000',
    'http://api.localhost',
  ])
    assert.ok(!isFound(url), url)
})

test('a folder for all with the sticky bit, and permissions of the group, are fine', () => {
  assert.deepEqual(
    found(withFile({ mode: 0o100660, folders: [{ path: '/keys', mode: 0o41777 }] })).map(
      ({ level }) => level,
    ),
    ['ok', 'ok'],
  )
})
