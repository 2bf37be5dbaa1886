import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readBackslash } from '../../../../tools/sql/backslash.ts'

for (const [line, kind] of [
  ['\\q', 'quit'],
  ['\\x', 'expanded'],
  ['\\d', 'list'],
  ['\\dt+', 'list'],
  ['  \\d+  events ; ', 'describe'],
  ['\\?', 'say'],
] as const) {
  test(`${line} is known`, () => {
    const asked = readBackslash(line)
    assert.equal(asked.kind, kind)
    if (asked.kind === 'describe') assert.equal(asked.name, 'events')
  })
}

test('an unknown command is named', () => {
  assert.deepEqual(readBackslash('\\copy events to x'), {
    kind: 'say',
    text: 'There is no command \\copy here: \\? lists those that there are.',
    isKnown: false,
  })
})

test('the name of a relation cannot leave its literal', () => {
  const asked = readBackslash("\\d x') OR true; DROP TABLE events; --")
  assert.ok(asked.kind === 'describe')
  assert.ok(asked.sql.includes("to_regclass('x'') OR true; DROP TABLE events; --')"))
})
