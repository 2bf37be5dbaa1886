import assert from 'node:assert/strict'
import { fileURLToPath } from 'node:url'
import { test } from 'node:test'
import type { TestEvent } from 'node:test/reporters'
import { collectNames, differenceOf } from '../../support/test-names.ts'

const file = fileURLToPath(new URL('../../integration/a.test.ts', import.meta.url))

function event(type: 'start' | 'pass' | 'fail', nesting: number, name: string, more: object = {}): TestEvent {
  return { type: `test:${type}`, data: { name, nesting, file, details: {}, ...more } } as unknown as TestEvent
}

async function* events(): AsyncGenerator<TestEvent> {
  const suite = { details: { type: 'suite' } }
  yield event('start', 0, 'suite')
  yield event('start', 1, 'second')
  yield event('pass', 1, 'second')
  yield event('start', 1, 'first')
  yield event('pass', 1, 'first', { skip: '' })
  yield event('pass', 0, 'suite', suite)
  yield event('start', 0, 'alone')
  yield event('fail', 0, 'alone')
  yield event('start', 0, 'left out')
  yield event('pass', 0, 'left out', { ...suite, skip: true })
}

test('tests are named by file and suite, and marked if skipped or failed', async () => {
  assert.deepEqual(await collectNames(events()), [
    'test/integration/a.test.ts > alone (failed)',
    'test/integration/a.test.ts > left out (skipped)',
    'test/integration/a.test.ts > suite > first (skipped)',
    'test/integration/a.test.ts > suite > second',
  ])
})

test('the difference of two lists is reported in both directions, and duplicates count', () => {
  assert.deepEqual(differenceOf({ embedded: ['a', 'b', 'b'], containers: ['b', 'c'] }), [
    'on embedded, but not on containers: a',
    'on embedded, but not on containers: b',
    'on containers, but not on embedded: c',
  ])
  assert.deepEqual(differenceOf({ embedded: ['a', 'b'], containers: ['b', 'a'] }), [])
})
