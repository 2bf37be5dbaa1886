import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eventIdOf, eventOf, openRun } from '../../../../tools/load/events.ts'

const run = openRun({ seed: 'a', startedAtMs: 1_700_000_000_000 })
const COUNT = 20_000

test('event n is a pure function of seed, start and n', () => {
  const again = openRun({ seed: 'a', startedAtMs: 1_700_000_000_000 })
  for (const n of [7, 3, 0, 4096, 3_000_000_000]) assert.deepEqual(eventOf(again, n), eventOf(run, n))
  assert.notEqual(eventOf(openRun({ ...run, seed: 'b' }), 1).eventId, eventOf(run, 1).eventId)
})

test('ids are UUIDv7, distinct and ascend with n', () => {
  let last = ''
  for (let n = 0; n < COUNT; n += 1) {
    const id = eventIdOf(run, n)
    assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    assert.ok(id > last, `${id} after ${last}`)
    last = id
  }
  assert.equal(Number.parseInt(eventIdOf(run, 0).replace('-', '').slice(0, 12), 16), run.startedAtMs)
})

test('bodies are distinct JSON events of about 260 bytes, on one line, their length known', () => {
  const metadata = new Set<string>()
  let bytes = 0
  for (let n = 0; n < COUNT; n += 1) {
    const event = eventOf(run, n)
    metadata.add(event.metadata)
    bytes += event.bodyBytes
    assert.equal(event.bodyBytes, Buffer.byteLength(event.body))
    assert.ok(!/[\n\t]/.test(event.body))
    const parsed: unknown = JSON.parse(event.body)
    assert.ok(typeof parsed === 'object' && parsed !== null && 'event_id' in parsed)
    assert.deepEqual(Object.keys(parsed), ['event_id', 'user_id', 'timestamp', 'metadata'])
    assert.equal(parsed.event_id, event.eventId)
    assert.ok(BigInt.asIntN(64, BigInt(event.userId)) === BigInt(event.userId))
    assert.match(event.timestamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}(Z|\+05:30)$/)
  }
  assert.equal(metadata.size, COUNT)
  assert.ok(bytes / COUNT > 230 && bytes / COUNT < 280, `${bytes / COUNT} bytes`)
})
