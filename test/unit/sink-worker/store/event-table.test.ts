import assert from 'node:assert/strict'
import { test } from 'node:test'
import { columnRepair } from '../../../../sink-worker/store/column-repair.ts'
import { EVENT_COLUMN_TYPES, tableShape } from '../../../../sink-worker/store/event-table.ts'

const withUserId = (type: string): string =>
  EVENT_COLUMN_TYPES.text.replace('user_id text', `user_id ${type}`)

for (const [type, becomes] of [
  ['integer', 'bigint'],
  ['numeric(10,2)', 'bigint'],
  ['character varying(40)', 'text COLLATE "C"'],
  ['uuid', 'text COLLATE "C"'],
] as const) {
  test(`a user_id of ${type} is refused, and is expected to become ${becomes}`, () => {
    const expected = EVENT_COLUMN_TYPES[becomes === 'bigint' ? 'bigint' : 'text']
    assert.throws(() => tableShape({ types: withUserId(type) }), {
      message: new RegExp(`expected \\(${expected}\\)`),
    })
    const statement = `ALTER TABLE events ALTER COLUMN "user_id" TYPE ${becomes};`
    assert.equal(columnRepair(withUserId(type), expected), statement)
  })
}

test('columns that are missing are named without user_id, whatever its type is', () => {
  for (const table of [EVENT_COLUMN_TYPES.bigint, EVENT_COLUMN_TYPES.text]) {
    const types = table.replace(', session_id text', '').replace(', sent_check bigint', '')
    assert.throws(() => tableShape({ types }), {
      message:
        '"events" lacks the columns sent_check, session_id: run "npx firehose migrate"; if they were dropped since, ' +
        'ALTER TABLE events ADD COLUMN "sent_check" bigint, ADD COLUMN "session_id" text COLLATE "C";',
    })
  }
})
