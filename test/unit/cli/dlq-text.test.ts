import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as text from '../../../cli/dlq-text.ts'
import type { Letter } from '../../../dead-letters/letter.ts'
import type { LetterGroup } from '../../../dead-letters/letters.ts'

const letter: Letter = {
  clusterId: 'c1',
  partition: 0,
  offset: 17n,
  eventId: null,
  valueBytes: 9,
  reason: 'constraint',
  sqlstate: '23514',
  message: 'no \u001b[2J',
  createdAt: new Date('2026-01-02T03:04:05.678Z'),
  state: 'open',
  value: Buffer.from('{"a":"\u009b"}'),
  sha256: null,
  headers: { trace: '\u001b]0;' },
  timestampMs: 9e18,
}
const entry = {
  at: letter.createdAt,
  by: 'me',
  action: 'discard',
  outcome: 'discarded',
  eventId: null,
  reason: null,
  sqlstate: null,
  message: 'so\r',
} as const
const group: LetterGroup = {
  clusterId: 'c1',
  reason: 'constraint',
  state: 'open',
  count: 1_200,
  oldest: new Date('2026-01-02T03:04:05Z'),
  newest: new Date('2026-01-03T03:04:05Z'),
}

test('property: whatever a letter holds, its output has no control characters except line breaks', () => {
  const printed = [
    text.letterText(letter, 'events', [entry]),
    text.listText([letter], [group]),
    text.letterJson(letter, 'events', [entry]),
    text.headJson(letter, 'events'),
    text.refusalText(letter, { kind: 'refused', reason: 'constraint', sqlstate: null, message: '\u0007' }),
  ]
  for (const one of printed) assert.doesNotMatch(one.replaceAll('\n', ''), /\p{Cc}/u)
  assert.equal(text.valueText(Buffer.from([0x41, 0xff])), '41ff')
})

test('JSON output is one line and round-trips the value', () => {
  const json = text.letterJson(letter, 'events', [entry])
  assert.doesNotMatch(json, /\n/)
  const parsed = JSON.parse(json) as { value: string; offset: string; history: { at: string }[] }
  assert.deepEqual([parsed.value, parsed.offset], [letter.value?.toString(), '17'])
  assert.equal(parsed.history[0]?.at, '2026-01-02T03:04:05.678Z')
  const binary = { ...letter, value: Buffer.from([0xff, 0]) }
  assert.deepEqual((JSON.parse(text.letterJson(binary, 'events', [])) as { value: unknown }).value, {
    base64: '/wA=',
  })
  assert.doesNotMatch(text.headJson(letter, 'events'), /value"|headers/)
})

test('the summary has a line for each reason, and the cluster if there are several', () => {
  const done: LetterGroup = {
    ...group,
    state: 'replayed',
    count: 3,
    oldest: new Date('2026-01-01T00:00:00Z'),
  }
  const summary = text.summaryText([group, done])
  assert.match(summary, /^reason +\| open/)
  assert.match(summary, /constraint +\| 1,200 +\| 3 +\| 0 +\| 2026-01-01T00:00:00Z \| 2026-01-03T03:04:05Z/)
  const other: LetterGroup = { ...group, clusterId: 'c1 until then' }
  assert.match(text.summaryText([group, other]), /^cluster .*\n.*\nc1 +\|.*\nc1 until then +\|/)
  assert.match(text.planText([{ ...group, reason: 'event_id_conflict' }], false), /--new-id/)
  assert.match(text.planText([{ ...group, reason: 'event_id_conflict' }], true), /stored, under a new id/)
})
