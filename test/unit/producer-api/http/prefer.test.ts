import assert from 'node:assert/strict'
import type { IncomingMessage } from 'node:http'
import { test } from 'node:test'
import { prefersLenient } from '../../../../producer-api/http/prefer.ts'
import { nameAndValue, splitUnquoted } from '../../../../producer-api/http/quoted-list.ts'

const prefers = (prefer?: string): boolean =>
  prefersLenient({ headers: { prefer } } as unknown as IncomingMessage)

test('handling=lenient is found among other preferences, in any notation of RFC 7240', () => {
  for (const prefer of [
    'handling=lenient',
    'Handling = "Lenient"',
    'respond-async, wait=100,handling=lenient',
    'handling=lenient; foo="a,b"; bar',
    'return=minimal; foo="some, handling=strict \\", handling=strict", handling=lenient',
    ', ,handling="len\\ient",',
    'handling=lenient, handling=strict',
  ]) {
    assert.equal(prefers(prefer), true, prefer)
  }
})

test('anything else is no preference for it', () => {
  for (const prefer of [
    undefined,
    '',
    'handling=strict',
    'handling=strict, handling=lenient',
    'handling',
    'handling=""',
    'handling=lenient-ish',
    'lenient',
    'wait=10; handling=lenient',
    'foo="handling=lenient"',
    'foo="a, handling=lenient',
    'x-handling=lenient',
  ]) {
    assert.equal(prefers(prefer), false, prefer)
  }
})

test('a list is split outside of its quoted strings, in time that grows with its length only', () => {
  assert.deepEqual(splitUnquoted('a;b="c;\\";d";e', ';'), ['a', 'b="c;\\";d"', 'e'])
  assert.deepEqual(splitUnquoted('', ','), [''])
  assert.deepEqual(nameAndValue(' Charset = "utf\\-8" '), ['charset', 'utf-8'])
  const startedAt = performance.now()
  for (const hostile of ['"\\', '",', '\\"']) splitUnquoted(hostile.repeat(500_000), ',')
  assert.ok(performance.now() - startedAt < 2_000)
})
