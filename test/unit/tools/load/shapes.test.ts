import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { UserIdType } from '../../../../event/kinds.ts'
import { parseEvent } from '../../../../producer-api/intake/parse-body.ts'
import { eventIdOf, openRun } from '../../../../tools/load/events.ts'
import { shapedEvents } from '../../../../tools/load/shapes.ts'

const run = openRun({ seed: 'a', startedAtMs: 1_700_000_000_000 })
const COUNT = 5_000
const NAMES = ['event_id', 'user_id', 'anonymous_id', 'event_name', 'event_type', 'session_id', 'source']

function parsed(body: string, userIdType: UserIdType) {
  const result = parseEvent(Buffer.from(body), { newId: () => 'made', userIdType })
  assert.ok(result.ok, body)
  return result.events[0]!
}

test('shaped event n is a pure function of seed, start and n', () => {
  const [first, again] = [shapedEvents(run, 'text'), shapedEvents(openRun(run), 'text')]
  for (const n of [7, 3, 0, 4096, 3_000_000_000, 5_000_000_000]) assert.deepEqual(again.of(n), first.of(n))
  const other = shapedEvents(openRun({ ...run, seed: 'b' }), 'text')
  assert.notDeepEqual(
    [1, 2, 3].map((n) => other.of(n).body),
    [1, 2, 3].map((n) => first.of(n).body),
  )
})

for (const userIds of ['bigint', 'text'] as const) {
  test(`every shaped event is valid, on one line, and has the id that is said (user_id of ${userIds})`, () => {
    const events = shapedEvents(run, userIds)
    const shapes = new Set<string>()
    for (let n = 0; n < COUNT; n++) {
      const { body, bodyBytes } = events.of(n)
      assert.equal(bodyBytes, Buffer.byteLength(body))
      assert.ok(!/[\r\n\t]/.test(body))
      assert.equal(parsed(body, userIds).eventId, events.idOf(n) ?? 'made')
      assert.ok([undefined, eventIdOf(run, n)].includes(events.idOf(n)))
      const event: Record<string, unknown> = JSON.parse(body)
      shapes.add(NAMES.filter((name) => (event[name] ?? null) !== null).join())
    }
    // Of the 128 subsets, 32 have neither user_id nor anonymous_id.
    assert.equal(shapes.size, 96)
  })
}

test('integers are valid for both types; of the other user ids, some are as long as can be', () => {
  const [integers, texts] = [shapedEvents(run, 'bigint'), shapedEvents(run, 'text')]
  let longest = 0
  for (let n = 0; n < COUNT; n++) {
    parsed(integers.of(n).body, 'text')
    const { user_id: userId } = JSON.parse(texts.of(n).body)
    if (typeof userId === 'string') longest = Math.max(longest, Array.from(userId).length)
  }
  assert.equal(longest, 255)
})
