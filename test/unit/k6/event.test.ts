import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { EventMaker, newRun } from '../../../k6/lib/event.ts'
import { parseEvent } from '../../../producer-api/intake/parse-body.ts'

const COUNT = 20_000
const run = { start_ms: 1_795_468_613_336, random: 247_462_288_588_617 }

function newId(): string {
  throw new Error('the event has an id of its own')
}

test('event n depends only on the run and n, not on events made before', () => {
  const maker = new EventMaker(run)
  for (const n of [7, 8191, 8192, 3, 0, 300_000]) assert.equal(new EventMaker(run).body(n), maker.body(n))
})

test('ids are UUIDv7, distinct, and ascend with n', () => {
  const maker = new EventMaker(run)
  let last = ''
  for (let n = 0; n < COUNT; n += 1) {
    const id = maker.id(n)
    assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-8000-[0-9a-f]{12}$/)
    assert.ok(id > last, `${id} after ${last}`)
    last = id
  }
  assert.equal(Number.parseInt(maker.id(0).replace('-', '').slice(0, 12), 16), run.start_ms)
})

test('different runs have different ids', () => {
  const ids = [run, { ...run, random: 0 }, { ...run, random: 2 ** 48 - 1 }, { ...run, start_ms: 1 }].map(
    (other) => new EventMaker(other).id(5000),
  )
  assert.equal(new Set(ids).size, ids.length)
})

test('bodies are events of about 260 bytes that the API accepts as they are', () => {
  const numbers = fc.integer({ min: 0, max: 2 ** 32 })
  const starts = fc.integer({ min: 0, max: 4_102_444_800_000 })
  fc.assert(
    fc.property(numbers, starts, fc.integer({ min: 0, max: 2 ** 48 - 1 }), (n, start_ms, random) => {
      const maker = new EventMaker({ start_ms, random })
      const body = maker.body(n)
      assert.ok(body.length > 240 && body.length < 290, `${body.length} bytes`)
      const parsed = parseEvent(Buffer.from(body), { newId, userIdType: 'bigint' })
      assert.ok(parsed.ok)
      assert.deepEqual(
        parsed.events.map(({ eventId }) => eventId),
        [maker.id(n)],
      )
    }),
  )
})

test("a run's values are given or generated", () => {
  assert.deepEqual(newRun('17', '4'), { start_ms: 17, random: 4 })
  const own = newRun()
  assert.ok(own.start_ms > 1_700_000_000_000 && own.random < 2 ** 48)
})
