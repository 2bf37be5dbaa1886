import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { formatKeyFile, type KeyFile, parseKeyFile } from '../../../access/key-file.ts'
import { newSecret } from '../../../access/secret.ts'
import { ConfigError } from '../../../platform/env.ts'
import { keyFile } from '../../arbitrary/key-file.ts'

const DIGEST = 'ab'.repeat(32)
const SECRET = { id: 'a1B2c3D4', sha256: DIGEST, created: '2026-11-27T20:00:00Z' }
const KEY = { label: 'shop', kind: 'server', secrets: [SECRET] }

function faultsOf(text: string): string[] {
  try {
    parseKeyFile(text)
    return []
  } catch (error) {
    assert.ok(error instanceof ConfigError)
    return error.problems
  }
}

const faultsOfKey = (key: object): string[] => faultsOf(JSON.stringify({ keys: [{ ...KEY, ...key }] }))
const faultsOfSecret = (secret: object): string[] => faultsOfKey({ secrets: [{ ...SECRET, ...secret }] })

test('what is written is read again, whatever it is', () => {
  fc.assert(
    fc.property(keyFile, (file) => {
      assert.deepEqual(parseKeyFile(formatKeyFile(file)), file)
    }),
  )
})

test('a file as people write it', () => {
  const text = `{"keys":[{"label":"shop","kind":"browser","origins":["https://shop.example.com"],"events_per_second":500,
    "burst":1000,"secrets":[{"id":"a1B2c3D4","sha256":"${DIGEST}","created":"2026-11-27T20:00:00Z","expires":"2027-11-27T20:00:00Z"}]}]}`
  const expected: KeyFile = {
    keys: [
      {
        label: 'shop',
        kind: 'browser',
        origins: ['https://shop.example.com'],
        eventsPerSecond: 500,
        burst: 1_000,
        secrets: [
          {
            id: 'a1B2c3D4',
            sha256: DIGEST,
            createdMs: Date.UTC(2026, 10, 27, 20),
            expiresMs: Date.UTC(2027, 10, 27, 20),
          },
        ],
      },
    ],
  }
  assert.deepEqual(parseKeyFile(text), expected)
  assert.deepEqual(parseKeyFile('{"keys":[]}'), { keys: [] })
  assert.deepEqual(parseKeyFile('\uFEFF{"keys":[]}\r\n'), { keys: [] }, 'as editors on Windows write it')
})

test('a text that is no key file is refused with one sentence', () => {
  for (const [text, fault] of [
    ['', 'it is empty'],
    [' \n', 'it is empty'],
    ['{"keys":[}', /^it is not JSON( \(line 1 column \d+\))?$/],
    ['{\n"keys": [] "x"}', /^it is not JSON \(line 2 column 12\)$/],
    ['[]', 'it must be an object with one member, "keys", an array of objects'],
    ['{"keys":{}}', 'it must be an object with one member, "keys", an array of objects'],
    ['{"keys":[1]}', 'it must be an object with one member, "keys", an array of objects'],
    ['{"keys":[],"key":[]}', 'it must be an object with one member, "keys", an array of objects'],
    [`{"keys":[${'{},'.repeat(1_000)}{}]}`, 'it has more than 1000 keys'],
    [' '.repeat(1024 * 1024 + 1), 'it is larger than 1 MiB'],
  ] as const) {
    const [first = '', ...others] = faultsOf(text)
    if (typeof fault === 'string') assert.equal(first, fault)
    else assert.match(first, fault)
    assert.deepEqual(others, [])
  }
})

test('a typing error in the name of a member is a fault: "expires" must not be ignored', () => {
  assert.deepEqual(faultsOfSecret({ expire: '2027-01-01T00:00:00Z' }), [
    'key "shop", secret 1 has the unknown member "expire"',
  ])
  assert.deepEqual(faultsOfKey({ origin: [] }), ['key "shop" has the unknown member "origin"'])
  assert.equal(faultsOf(`{"keys":[{"label":"a","kind":"server","__proto__":{},"secrets":[]}]}`).length, 2)
})

test('each member has its rule', () => {
  for (const key of [
    { label: '' },
    { label: '-a' },
    { label: 'a b' },
    { label: 'a\u001b[2J' },
    { label: 'x'.repeat(64) },
    { label: 1 },
    { kind: 'admin' },
    { kind: ['server'] },
    { kind: 'browser', origins: 'https://a.example' },
    { kind: 'browser', origins: ['https://a.example/'] },
    { kind: 'browser', origins: [1] },
    { origins: [] },
    { events_per_second: 0 },
    { events_per_second: 1.5 },
    { events_per_second: '500' },
    { events_per_second: 1_000_001 },
    { burst: 999 },
    { burst: null },
    { secrets: [] },
    { secrets: {} },
    { secrets: [1] },
  ])
    assert.equal(faultsOfKey(key).length, 1, JSON.stringify(key))
  for (const secret of [
    { id: 'a1B2c3D' },
    { id: 'a1B2c3D_' },
    { id: 12345678 },
    { sha256: DIGEST.toUpperCase() },
    { sha256: DIGEST.slice(1) },
    { created: '2026-11-27' },
    { created: '2026-11-27T20:00:00.5Z' },
    { created: '2026-02-30T00:00:00Z' },
    { created: 1_795_000_000 },
    { expires: '' },
    { expires: null },
    { expires: 'never' },
  ])
    assert.equal(faultsOfSecret(secret).length, 1, JSON.stringify(secret))
  assert.deepEqual(faultsOfKey({ kind: 'browser' }), [], 'without origins, it is only of no use')
})

test('labels, ids and digests are unique in the file', () => {
  const other = { ...SECRET, id: 'b1B2c3D4', sha256: 'cd'.repeat(32) }
  const faults = (...keys: object[]): string[] => faultsOf(JSON.stringify({ keys }))
  assert.deepEqual(faults(KEY, { ...KEY, secrets: [other] }), ['two keys have the label "shop"'])
  assert.deepEqual(faults(KEY, { ...KEY, label: 'b', secrets: [{ ...other, id: SECRET.id }] }), [
    'two secrets have the id a1B2c3D4',
  ])
  assert.deepEqual(faults({ ...KEY, secrets: [SECRET, { ...other, sha256: DIGEST }] }), [
    'two secrets have the same "sha256"',
  ])
})

test('all faults are listed at once, each with its place', () => {
  const keys = [
    { ...KEY, kind: 'x', secrets: [{ id: 'a1B2c3D4', created: 'x' }, SECRET] },
    { label: 'no label', kind: 'read' },
  ]
  assert.deepEqual(faultsOf(JSON.stringify({ keys })), [
    'key "shop": "kind" must be one of browser, server, read, operate',
    'key "shop", secret 1: "sha256" must be 64 hexadecimal digits in lower case',
    'key "shop", secret 1: "created" must be a time such as 2027-01-02T03:04:05Z',
    'key 2: "label" must have 1 to 63 letters (A to Z), digits, dots, underscores and hyphens, and begin with a letter or digit',
    'key 2: "secrets" must be an array of at least one secret',
    'two secrets have the id a1B2c3D4',
  ])
})

test('no fault shows a secret, wherever someone has put one', () => {
  const { text, sha256 } = newSecret('server')
  for (const file of [
    text,
    `"${text}`,
    `{"keys":["${text}"]}`,
    `{"keys":[], "${text}":1}`,
    JSON.stringify({
      keys: [{ [text]: sha256, [sha256]: 1, label: text, kind: text, origins: [text], secrets: [text] }],
    }),
    JSON.stringify({
      keys: [{ ...KEY, secrets: [{ id: text, sha256: text, created: text, expires: text, [text]: text }] }],
    }),
    JSON.stringify({
      keys: [KEY, KEY].map((key) => ({ ...key, label: text, secrets: [{ ...SECRET, id: text, sha256 }] })),
    }),
  ]) {
    const faults = faultsOf(file).join('\n')
    assert.notEqual(faults, '')
    for (const hidden of [text, sha256, text.slice(19, 60), sha256.slice(0, 32)])
      assert.ok(!faults.includes(hidden), faults)
  }
})

test('anything else that parses is refused or read, and never throws another error', () => {
  fc.assert(fc.property(fc.oneof(fc.string(), fc.json()), (text) => void faultsOf(text)))
  fc.assert(fc.property(fc.array(fc.object()), (keys) => void faultsOf(JSON.stringify({ keys }))))
})

test('a member that is there twice is a fault: the last one would count, and people may see the first', () => {
  const text = JSON.stringify({
    keys: [{ ...KEY, secrets: [{ ...SECRET, expires: '2027-01-01T00:00:00Z' }] }],
  })
  const twice = ['it has an object with two members of the same name']
  assert.deepEqual(faultsOf(text), [])
  const late = '"2099-01-01T00:00:00Z"'
  assert.deepEqual(faultsOf(text.replace('"expires"', `"expires":${late},"expires"`)), twice)
  assert.deepEqual(faultsOf(text.replace('"expires"', `"expires" : ${late}, "\\u0065xpires"`)), twice)
  assert.deepEqual(faultsOf(text.replace('{', '{"keys":[],')), twice)
  // As values, and in different objects, texts may repeat.
  const origins = ['https://a.example', 'https://a.example']
  assert.deepEqual(faultsOfKey({ kind: 'browser', origins }), [])
})
