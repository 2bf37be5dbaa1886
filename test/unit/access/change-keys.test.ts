import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { createKey, revokeKey, rotateKey } from '../../../access/change-keys.ts'
import { formatKeyFile, type Key, type KeyFile, parseKeyFile, type Secret } from '../../../access/key-file.ts'
import { newSecret } from '../../../access/secret.ts'
import { keyFile, label, timeMs } from '../../arbitrary/key-file.ts'

const NOW_MS = Date.UTC(2027, 0, 1)
const DAY_MS = 86_400_000

function secretOf(id: string, expiresMs?: number): Secret {
  return { id, sha256: newSecret('server').sha256, createdMs: NOW_MS - DAY_MS, expiresMs }
}

function keyOf(name: string, ...secrets: Secret[]): Key {
  return { label: name, kind: 'server', origins: [], eventsPerSecond: undefined, burst: undefined, secrets }
}

const ids = ({ keys }: KeyFile): [string, ...string[]][] =>
  keys.map((key) => [key.label, ...key.secrets.map(({ id }) => id)])

test('a key is added after the others, and its label must be free', () => {
  const file = createKey({ keys: [keyOf('a', secretOf('aaaaaaaa'))] }, keyOf('b', secretOf('bbbbbbbb')))
  assert.deepEqual(ids(file), [
    ['a', 'aaaaaaaa'],
    ['b', 'bbbbbbbb'],
  ])
  assert.throws(() => createKey(file, keyOf('a', secretOf('cccccccc'))), {
    name: 'KeyChangeError',
    message:
      'there is a key "a" already: choose another label, or give that key a new secret with "npx firehose keys rotate a --overlap 7d"',
  })
})

test('a key is revoked by its label, a secret by its id, and a key goes with its last secret', () => {
  const file = {
    keys: [keyOf('a', secretOf('aaaaaaaa'), secretOf('AAAAAAAA')), keyOf('b', secretOf('bbbbbbbb'))],
  }
  assert.deepEqual(ids(revokeKey(file, 'a')), [['b', 'bbbbbbbb']])
  assert.deepEqual(ids(revokeKey(file, 'aaaaaaaa')), [
    ['a', 'AAAAAAAA'],
    ['b', 'bbbbbbbb'],
  ])
  assert.deepEqual(ids(revokeKey(revokeKey(file, 'b'), 'a')), [])
  assert.deepEqual(ids(revokeKey(file, 'bbbbbbbb')), [['a', 'aaaaaaaa', 'AAAAAAAA']])
  for (const name of ['c', 'Aaaaaaaa', ''])
    assert.throws(() => revokeKey(file, name), /^KeyChangeError: there is no key and no secret "/)
})

test('an old secret ends with the overlap, or before if it expires before; what has ended is dropped', () => {
  const old = [
    secretOf('expired1', NOW_MS - 1_000),
    secretOf('expires1', NOW_MS + DAY_MS),
    secretOf('expires9', NOW_MS + 9 * DAY_MS),
    secretOf('forever1'),
  ]
  const file = { keys: [keyOf('a', ...old), keyOf('b', secretOf('expired2', 0))] }
  const rotated = rotateKey(file, 'a', secretOf('newest11'), { nowMs: NOW_MS, overlapMs: 7 * DAY_MS })
  assert.deepEqual(
    rotated.keys[0]?.secrets.map(({ id, expiresMs }) => [id, expiresMs]),
    [
      ['expires1', NOW_MS + DAY_MS],
      ['expires9', NOW_MS + 7 * DAY_MS],
      ['forever1', NOW_MS + 7 * DAY_MS],
      ['newest11', undefined],
    ],
  )
  assert.deepEqual(rotated.keys[1], file.keys[1], 'other keys stay as they are')
  const atOnce = rotateKey(file, 'a', secretOf('newest11'), { nowMs: NOW_MS, overlapMs: 0 })
  assert.deepEqual(ids(atOnce)[0], ['a', 'newest11'])
  assert.throws(() => rotateKey(file, 'c', secretOf('newest11'), { nowMs: NOW_MS, overlapMs: 0 }), {
    name: 'KeyChangeError',
    message: 'there is no key "c": "npx firehose keys list" shows all labels',
  })
})

test('a rotation never extends a secret, and changes nothing else of the file', () => {
  fc.assert(
    fc.property(keyFile, fc.nat(5), timeMs, fc.nat(1_000_000), (file, at, nowMs, overlapS) => {
      const key = file.keys[at]
      fc.pre(key !== undefined)
      const secret = { ...secretOf('00000000'), sha256: 'f'.repeat(64) }
      const after = rotateKey(file, key.label, secret, { nowMs, overlapMs: overlapS * 1_000 })
      const { secrets, ...rest } = after.keys[at]!
      assert.deepEqual({ ...rest, secrets: key.secrets }, key)
      assert.deepEqual(secrets.at(-1), secret)
      for (const before of key.secrets) {
        const endMs = Math.min(before.expiresMs ?? Number.POSITIVE_INFINITY, nowMs + overlapS * 1_000)
        const kept = secrets.find(({ id }) => id === before.id)
        assert.deepEqual(kept, endMs > nowMs ? { ...before, expiresMs: endMs } : undefined)
      }
      assert.deepEqual(after.keys.toSpliced(at, 1), file.keys.toSpliced(at, 1))
    }),
  )
})

test('whatever is created, revoked and rotated, the file stays one that is read', () => {
  const step = fc.record({
    what: fc.constantFrom('create', 'revoke', 'rotate'),
    label,
    at: fc.nat(9),
    overlapS: fc.nat(99),
  })
  fc.assert(
    fc.property(keyFile, fc.array(step, { maxLength: 12 }), (first, steps) => {
      let file = first
      for (const { what, label: name, at, overlapS } of steps) {
        const { id, sha256 } = newSecret('server')
        const secret = { id, sha256, createdMs: NOW_MS, expiresMs: undefined }
        const existing = file.keys[at % Math.max(1, file.keys.length)]
        if (what === 'create' && !file.keys.some((key) => key.label === name))
          file = createKey(file, keyOf(name, secret))
        else if (existing !== undefined && what === 'revoke')
          file = revokeKey(file, at % 2 === 0 ? existing.label : existing.secrets[0]!.id)
        else if (existing !== undefined && what === 'rotate')
          file = rotateKey(file, existing.label, secret, { nowMs: NOW_MS, overlapMs: overlapS * 1_000 })
        assert.deepEqual(parseKeyFile(formatKeyFile(file)), file)
      }
    }),
  )
})
