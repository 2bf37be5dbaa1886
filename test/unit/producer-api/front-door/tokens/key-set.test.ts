import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { before, test } from 'node:test'
import { exportJWK, type JWK } from 'jose'
import {
  ALGORITHMS,
  type KeySet,
  parseKeySet,
} from '../../../../../producer-api/front-door/tokens/key-set.ts'
import { Signer } from '../../../../support/signer.ts'

let rsa: JWK
let ec: JWK
let ed: JWK
before(async () => {
  rsa = (await Signer.make('rsa', 'RS256')).jwk
  ec = (await Signer.make('ec', 'ES256')).jwk
  ed = (await Signer.make('ed', 'EdDSA')).jwk
})

const setOf = (...keys: unknown[]): KeySet => parseKeySet(JSON.stringify({ keys }), ALGORITHMS)
const found = (set: KeySet, algorithm: string, kid?: string): number => set.find(algorithm, kid).length

test('a key is found by the id and the algorithm of a token', () => {
  const set = setOf(rsa, ec, ed)
  assert.equal(set.size, 3)
  for (const [algorithm, kid, count] of [
    ['RS256', 'rsa', 1],
    ['PS512', 'rsa', 1],
    ['ES256', 'ec', 1],
    ['EdDSA', 'ed', 1],
    ['Ed25519', 'ed', 1],
    ['ES384', 'ec', 0],
    ['ES256', 'rsa', 0],
    ['RS256', 'other', 0],
    ['RS256', undefined, 1],
    ['HS256', 'rsa', 0],
    ['constructor', undefined, 0],
  ] as const)
    assert.equal(found(set, algorithm, kid), count, `${algorithm} ${kid}`)
})

test('a key without an id is only for tokens without one', () => {
  const { kid: _, ...nameless } = ec
  const set = setOf(nameless)
  assert.equal(found(set, 'ES256'), 1)
  assert.equal(found(set, 'ES256', 'ec'), 0)
})

test('of many keys that a token without an id may have, some are tried', () => {
  assert.equal(found(setOf(...Array.from({ length: 10 }, () => ec)), 'ES256'), 4)
})

test('what a key says about its use is respected', () => {
  assert.equal(found(setOf({ ...rsa, alg: 'RS512' }), 'RS512', 'rsa'), 1)
  assert.equal(found(setOf({ ...rsa, alg: 'RS512' }), 'RS256', 'rsa'), 0)
  assert.equal(setOf({ ...rsa, use: 'sig', key_ops: ['verify'] }).size, 1)
  for (const change of [
    { use: 'enc' },
    { key_ops: ['encrypt'] },
    { key_ops: 'verify' },
    { alg: 'RSA-OAEP' },
  ]) {
    const set = setOf({ ...rsa, ...change }, ec)
    assert.equal(found(set, 'RS256', 'rsa'), 0)
    assert.deepEqual(set.ignored, [])
  }
})

test('private, symmetric and broken members are ignored, and said to be', async () => {
  const { privateKey } = await Signer.make('private', 'ES256')
  const weak = generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey.export({ format: 'jwk' })
  const set = setOf(
    await exportJWK(privateKey),
    { kty: 'oct', k: 'aHVudGVyMg' },
    { ...rsa, d: '' },
    weak,
    { kty: 'EC', crv: 'P-256', x: 'AA', y: 'AA' },
    null,
    ec,
  )
  assert.equal(set.size, 1)
  assert.deepEqual(set.ignored, [
    'key 1 is private',
    'key 2 is symmetric',
    'key 3 is private',
    'key 4 has less than 2048 bits',
    'key 5 cannot be read',
    'key 6 is no JSON object',
  ])
  assert.equal(found(set, 'ES256', 'private'), 0)
})

test('a set without a usable key is refused, without what it holds', () => {
  for (const [text, reason] of [
    ['<html>hunter2', /^is not JSON$/],
    ['', /^is not JSON$/],
    ['[]', /^is no JWKS/],
    ['null', /^is no JWKS/],
    ['{"keys":{}}', /^is no JWKS: it lacks the list "keys"$/],
    ['{"keys":[]}', /^has no public key for RS256/],
    ['{"keys":[{"kty":"oct","k":"hunter2"}]}', /^has no public key for RS256.* \(key 1 is symmetric\)$/],
    [JSON.stringify({ keys: Array(101).fill(ec) }), /^has more than 100 keys$/],
  ] as const)
    assert.throws(
      () => parseKeySet(text, ALGORITHMS),
      ({ message }: Error) => reason.test(message) && !message.includes('hunter2'),
    )
})

test('the content is the same for the same keys, in whatever order and notation', () => {
  const { content } = setOf(rsa, ec)
  assert.equal(setOf(ec, { ...rsa, use: 'sig', x5t: 'AA' }).content, content)
  assert.notEqual(setOf(rsa).content, content)
  assert.notEqual(setOf(rsa, { ...ec, kid: 'other' }).content, content)
  assert.notEqual(setOf(rsa, { ...ec, alg: 'ES256' }, ed).content, content)
})
