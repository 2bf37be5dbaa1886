import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import * as fc from 'fast-check'
import { MAX_BATCH_EVENTS, MAX_DEPTH, MAX_EVENT_BYTES, MAX_FAULTS } from '../../../../event/limits.ts'
import type { ParsedEvents } from '../../../../producer-api/intake/event-list.ts'
import { parseEvent, parseEventArray, parseEventLines } from '../../../../producer-api/intake/parse-body.ts'
import { eventText } from '../../../arbitrary/event-text.ts'

const ID = '0198c0de-7a5b-7000-8000-0123456789ab'
const MADE_ID = '0198c0de-7a5b-7000-8000-000000000000'
const GOOD = '{"user_id":1,"timestamp":"2025-01-31T12:00:00Z","metadata":{"a": 1 }}'
const options = { newId: () => MADE_ID, userIdType: 'bigint' as const }

const one = (text: string): ParsedEvents => parseEvent(Buffer.from(text), options)
const array = (text: string): ParsedEvents => parseEventArray(Buffer.from(text), options)
const lines = (text: string): ParsedEvents => parseEventLines(Buffer.from(text), options)

const nested = (levels: number): string => GOOD.replace('1 }', `${'['.repeat(levels)}${']'.repeat(levels)}}`)
const many = (n: number): string[] => Array.from({ length: n }, () => GOOD)

/** The fields of the events, with metadata as text. */
function events(parsed: ParsedEvents): object[] {
  assert.ok(parsed.ok, JSON.stringify(parsed))
  return parsed.events.map(({ eventId, userId, timestamp, metadata }) => ({
    eventId,
    userId,
    timestamp,
    metadata: metadata.toString(),
  }))
}

function pointers(parsed: ParsedEvents): string[] {
  assert.ok(!parsed.ok && parsed.status === 422, JSON.stringify(parsed))
  return parsed.errors.map((error) => error.pointer)
}

function detail(parsed: ParsedEvents, status: number): string {
  assert.ok(!parsed.ok)
  assert.equal(parsed.status, status)
  return parsed.detail
}

describe('one event', () => {
  test('becomes canonical, with the metadata verbatim', () => {
    const text = `{"metadata" : {"a": [1.0,\n1e400]} ,"user\\u005fid":-0, "event_id":"${ID.toUpperCase()}","timestamp":"2025-01-31T12:00:00\\u002b01:00"} `
    assert.deepEqual(events(one(text)), [
      {
        eventId: ID,
        userId: '0',
        timestamp: '2025-01-31T11:00:00.000000Z',
        metadata: '{"a": [1.0,\n1e400]}',
      },
    ])
  })

  test('gets an id if it has none', () => {
    assert.deepEqual(events(one(GOOD)), [
      { eventId: MADE_ID, userId: '1', timestamp: '2025-01-31T12:00:00.000000Z', metadata: '{"a": 1 }' },
    ])
  })

  test('is refused with all its faults, in text order and with missing fields last', () => {
    const text = `{"x/y~":1,"user_id":"x","x/y~":2,"metadata":{"a":["\\u0000",{"\\ud800":1e131072}]},"event_id":null,"received_at":"","user_id":1}`
    const parsed = one(text)
    assert.deepEqual(pointers(parsed), [
      '/x~1y~0',
      '/user_id',
      '/x~1y~0',
      '/metadata/a/0',
      '/metadata/a/1/\ud800',
      '/metadata/a/1/\ud800',
      '/event_id',
      '/received_at',
      '/user_id',
      '/timestamp',
    ])
    for (const error of parsed.ok ? [] : (parsed.errors ?? []))
      assert.match(error.detail, /^\S[^\n]* must [^\n]*\.$|is not a field/)
  })

  test('is refused with unknown fields whose names resemble known ones', () => {
    for (const name of ['user_ix', 'user', 'user_id_', 'timestamP', 'metabase', 'event_if', 'xvent_id', '']) {
      assert.deepEqual(pointers(one(GOOD.replace('{', `{"${name}":1,`))), [`/${name}`])
    }
  })

  test('must be an object', () => {
    for (const text of ['[]', '1', 'null', '"{}"', `[${GOOD}]`]) assert.deepEqual(pointers(one(text)), [''])
  })

  test('that is not JSON or not UTF-8 is a 400 with the offset', () => {
    assert.equal(detail(one('{"a":}'), 400), 'Byte 5: expected a JSON value.')
    assert.equal(detail(one(`${GOOD}x`), 400), `Byte ${GOOD.length}: expected the end of the text.`)
    const latin1 = parseEvent(Buffer.from('{"\xe9":1}', 'latin1'), options)
    assert.equal(detail(latin1, 400), 'Byte 2: the body must be UTF-8.')
    assert.ok(!latin1.ok && latin1.problem === 'not-utf8')
  })

  test('above the size limit is a 413; white space around it does not count', () => {
    const sized = (bytes: number) => GOOD.replace('1 }', `1,"b":"${'x'.repeat(bytes - GOOD.length - 6)}"}`)
    assert.equal(sized(1_000).length, 1_000)
    assert.ok(one(`  ${sized(MAX_EVENT_BYTES)}  `).ok)
    assert.match(detail(one(sized(MAX_EVENT_BYTES + 1)), 413), /65536 bytes long; it has 65537/)
    assert.match(
      detail(parseEvent(Buffer.from(GOOD), { ...options, maxEventBytes: 20 }), 413),
      /at most 20 bytes/,
    )
  })

  test(`has at most ${MAX_FAULTS} listed faults, and a long name is not repeated many times`, () => {
    const nul = '"\\u0000",'.repeat(150)
    assert.equal(pointers(one(GOOD.replace('1 }', `[${nul}1]}`))).length, MAX_FAULTS)
    const unknown = Array.from({ length: 300 }, (_, i) => `"k${i}":1`).join(',')
    assert.equal(pointers(one(`{${unknown}}`)).length, MAX_FAULTS)
    const long = JSON.stringify(one(GOOD.replace('"a": 1', `"${'n'.repeat(20_000)}":[${nul}1]`)))
    assert.ok(long.length < 70_000, `${long.length}`)
  })

  test('I7: long names in many events do not lead to a large response', () => {
    const bad = `{"${'n'.repeat(8_000)}":1}`
    const parsed = array(`[${Array(100).fill(bad).join(',')}]`)
    assert.equal(pointers(parsed).length, 8, 'two names of 8,000 characters, and three missing fields each')
    assert.match(detail(parsed, 422), /8 faults, listed in errors\. There may be more/)
    assert.ok(JSON.stringify(parsed).length < 20_000)
    const longest = one(`{"${'n'.repeat(40_000)}":1}`)
    assert.equal(pointers(longest)[0], '', 'the value around a name that is too long')
    assert.ok(JSON.stringify(longest).length < 2_000)
  })

  test('counts as the first level of nesting', () => {
    assert.ok(one(nested(MAX_DEPTH - 2)).ok)
    assert.ok(array(`[${nested(MAX_DEPTH - 2)}]`).ok, 'also in an array')
    assert.deepEqual(pointers(one(nested(MAX_DEPTH - 1))), [`/metadata/a${'/0'.repeat(MAX_DEPTH - 2)}`])
  })
})

describe('a batch', () => {
  test('keeps the order; two events may have the same id', () => {
    const withId = GOOD.replace('{', `{"event_id":"${ID}",`)
    const expected = [...events(one(withId)), ...events(one(GOOD)), ...events(one(withId))]
    assert.deepEqual(events(array(` [${withId} ,\n${GOOD},${withId}] `)), expected)
    assert.deepEqual(events(lines(`${withId}\r\n\r\n  \n${GOOD}\n${withId}`)), expected)
    assert.deepEqual(events(lines(`\n${withId}\n${GOOD} \n${withId}\n`)), expected)
  })

  test('has pointers that begin with the index, which does not count blank lines', () => {
    const bad = GOOD.replace('1,', '"x",')
    assert.deepEqual(pointers(array(`[${GOOD},${bad},7,${bad}]`)), ['/1/user_id', '/2', '/3/user_id'])
    assert.deepEqual(pointers(lines(`${GOOD}\r\n\r\n${bad}\n\n7\n${bad}`)), [
      '/1/user_id',
      '/2',
      '/3/user_id',
    ])
  })

  test(`has 1 to ${MAX_BATCH_EVENTS} events`, () => {
    assert.equal(events(array(`[${many(MAX_BATCH_EVENTS).join(',')}]`)).length, MAX_BATCH_EVENTS)
    assert.equal(events(lines(many(MAX_BATCH_EVENTS).join('\n'))).length, MAX_BATCH_EVENTS)
    for (const n of [0, MAX_BATCH_EVENTS + 1]) {
      assert.deepEqual(pointers(array(`[${many(n).join(',')}]`)), [''])
      assert.deepEqual(pointers(lines(many(n).join('\n'))), [''])
      assert.match(detail(array(`[${many(n).join(',')}]`), 422), new RegExp(`has ${n}\\.`))
    }
  })

  test('is an array of events, or lines of events', () => {
    assert.deepEqual(pointers(array(GOOD)), [''])
    assert.deepEqual(pointers(lines(`[${GOOD}]`)), ['/0'])
    assert.equal(detail(array(''), 400), 'Byte 0: the text ends too early.')
    assert.equal(detail(array('[{} '), 400), 'Byte 4: the text ends too early.')
    assert.equal(detail(array('[{}}'), 400), 'Byte 3: expected , or ].')
    assert.equal(
      detail(lines(`${GOOD}\n{"a":\n1}`), 400),
      `Line 2, byte ${GOOD.length + 6}: the text ends too early.`,
    )
    assert.equal(
      detail(lines(`\r\n\n${GOOD} ${GOOD}\n`), 400),
      `Line 3, byte ${GOOD.length + 4}: expected the end of the line.`,
    )
  })

  test('is not JSON as a whole if its end is not', () => {
    const over = Array.from({ length: MAX_BATCH_EVENTS + 1 }, () => '{}').join(',')
    for (const text of ['[{},', '[{}', '[{}}', `[${GOOD}]]`, '[{},]', '[,{}]', '[', `[${over}`])
      detail(array(text), 400)
    const tooLarge = parseEventArray(Buffer.from(`[${GOOD},{]`), { ...options, maxEventBytes: 20 })
    assert.equal(detail(tooLarge, 400), `Byte ${GOOD.length + 3}: expected a name in double quotes.`)
  })

  test('with an event above the size limit is a 413 that names it', () => {
    const body = Buffer.from(`[{},${GOOD}]`)
    assert.match(
      detail(parseEventArray(body, { ...options, maxEventBytes: 20 }), 413),
      /^Event 1 must be at most 20 bytes/,
    )
  })

  test('must be UTF-8', () => {
    const body = Buffer.from(`[${GOOD}]`)
    body[10] = 0xff
    assert.equal(detail(parseEventArray(body, options), 400), 'Byte 10: the body must be UTF-8.')
    assert.equal(detail(parseEventLines(body, options), 400), 'Line 1, byte 10: the body must be UTF-8.')
  })
})

test('an event is either accepted or has faults, and a batch has the results of its events', () => {
  let accepted = 0
  let refused = 0
  fc.assert(
    fc.property(fc.array(eventText, { minLength: 1, maxLength: 4 }), (texts) => {
      const alone = texts.map(one)
      for (const parsed of alone) {
        if (parsed.ok) accepted++
        else if (parsed.status === 422) {
          refused++
          assert.ok(parsed.errors.length > 0)
        }
      }
      const flat = texts.map((text) => text.replaceAll(/[\r\n]/g, ' '))
      for (const batch of [array(`[${texts.join(',')}]`), lines(flat.join('\r\n'))]) {
        if (alone.some((parsed) => !parsed.ok && parsed.status === 400)) continue
        if (alone.every((parsed) => parsed.ok)) {
          const expected = alone.flatMap(events)
          assert.equal(events(batch).length, expected.length)
        } else {
          const expected = alone.flatMap((parsed, i) =>
            parsed.ok
              ? []
              : (parsed.errors ?? []).map((error) => ({ ...error, pointer: `/${i}${error.pointer}` })),
          )
          assert.deepEqual(batch.ok ? [] : batch.errors, expected)
        }
      }
      if (alone.every((parsed) => parsed.ok)) {
        assert.deepEqual(events(array(`[${texts.join(',')}]`)), alone.flatMap(events))
      }
    }),
    { numRuns: 1_000 },
  )
  assert.ok(accepted > 200 && refused > 200, `${accepted} accepted, ${refused} refused`)
})
