import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { isLabel } from '../../../access/key-file.ts'
import { KEY_KINDS, newSecret, readSecret, secretDigest } from '../../../access/secret.ts'

/** Its checksum and its digest were computed by another program (zlib and hashlib of Python). */
const KNOWN = 'fh_server_a1B2c3D4_0123456789012345678901234567890123456789012_4G2E1O'
const kind = fc.constantFrom(...KEY_KINDS)

test('a known secret is read, and has the digest that any SHA-256 gives', () => {
  assert.deepEqual(readSecret(KNOWN), { kind: 'server', id: 'a1B2c3D4' })
  assert.equal(secretDigest(KNOWN), '495cba5d39784ae059bb32aee6c7f6256dcaa8c8a1d343e3f193eb8d2769ae7b')
})

test('new secrets have the form that scanners look for, and are read again', () => {
  fc.assert(
    fc.property(kind, (each) => {
      const { text, id, sha256 } = newSecret(each)
      assert.match(text, new RegExp(`^fh_${each}_${id}_[0-9A-Za-z]{43}_[0-9A-Za-z]{6}$`))
      assert.deepEqual(readSecret(text), { kind: each, id })
      assert.equal(sha256, secretDigest(text))
      assert.ok(!text.includes(sha256))
    }),
  )
})

test('of a thousand secrets, each has an id, a text and characters of its own', () => {
  const made = Array.from({ length: 1_000 }, () => newSecret('read'))
  assert.equal(new Set(made.map(({ id }) => id)).size, made.length)
  const parts = made.map(({ text }) => text.slice(17, 60))
  assert.equal(new Set(parts).size, made.length)
  // 43,000 draws of 62 characters: about 694 of each, with a standard deviation of 26.
  const counts = new Map<string, number>()
  for (const character of parts.join('')) counts.set(character, (counts.get(character) ?? 0) + 1)
  assert.equal(counts.size, 62)
  for (const count of counts.values()) assert.ok(count > 500 && count < 900, String(count))
})

test('a wrong, missing, additional or exchanged character is recognised as a typing error', () => {
  const character = fc.constantFrom(...'0123456789ABCXYZabcxyz_-. '.split(''))
  fc.assert(
    fc.property(
      kind,
      fc.nat(),
      character,
      fc.constantFrom('wrong', 'missing', 'more', 'exchanged'),
      (each, seed, other, mistake) => {
        const { text } = newSecret(each)
        const at = 3 + (seed % (text.length - 4))
        const [here = '', next = ''] = text.slice(at)
        const [head, tail] = [text.slice(0, at), text.slice(at + 1)]
        const typed = {
          wrong: head + other + tail,
          missing: head + tail,
          more: head + other + here + tail,
          exchanged: head + next + here + tail.slice(1),
        }[mistake]
        fc.pre(typed !== text)
        assert.equal(readSecret(typed), 'mistyped')
      },
    ),
    { numRuns: 2_000 },
  )
})

test('parts of a secret, and spaces around it, are typing errors; other texts are no secrets', () => {
  for (const text of [
    KNOWN.slice(0, 40),
    'fh_',
    `${KNOWN} `,
    `${KNOWN}\n`,
    KNOWN.toUpperCase(),
    'fh_admin_x',
  ])
    assert.equal(readSecret(text), 'mistyped', text)
  for (const text of ['', 'x', 'eyJhbGciOiJSUzI1NiJ9.e30.c2ln', ` ${KNOWN}`, 'ghp_0123456789'])
    assert.equal(readSecret(text), undefined, text)
})

test('no secret and no digest is taken for a label, which is shown', () => {
  for (const each of KEY_KINDS) {
    const { text, sha256 } = newSecret(each)
    assert.ok(!isLabel(text) && !isLabel(sha256))
  }
})

test('the pattern in docs/OPERATIONS.md finds secrets in any text, and nothing in a key file', () => {
  const document = readFileSync(new URL('../../../docs/OPERATIONS.md', import.meta.url), 'utf8')
  const [, pattern = ''] = /`(fh_\(.+?)`/.exec(document) ?? []
  for (const each of KEY_KINDS) {
    const { text, id, sha256 } = newSecret(each)
    assert.equal(new RegExp(pattern).exec(`const key = "${text}";`)?.[0], text)
    assert.ok(!new RegExp(pattern).test(`{"label":"a","kind":"${each}","id":"${id}","sha256":"${sha256}"}`))
  }
})
