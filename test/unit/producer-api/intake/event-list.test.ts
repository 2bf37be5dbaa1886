import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import * as fc from 'fast-check'
import { MAX_BATCH_EVENTS, MAX_EVENT_BYTES, MAX_FAULTS } from '../../../../event/limits.ts'
import type { LenientFaults, ParsedEvents, ParseOptions } from '../../../../producer-api/intake/event-list.ts'
import { parseEvent, parseEventArray, parseEventLines } from '../../../../producer-api/intake/parse-body.ts'
import { eventText } from '../../../arbitrary/event-text.ts'

const GOOD = '{"user_id":1,"timestamp":"2025-01-31T12:00:00Z","metadata":{}}'
const BAD = '{"user_id":"x","timestamp":"2025-01-31T12:00:00Z","metadata":{}}'
const LARGE = GOOD.replace('{}', `{"a":"${'x'.repeat(MAX_EVENT_BYTES)}"}`)
const options: ParseOptions = {
  userIdType: 'bigint',
  newId: () => '0198c0de-7a5b-7000-8000-000000000000',
  isLenient: true,
}

const array = (texts: string[]): ParsedEvents => parseEventArray(Buffer.from(`[${texts.join(',')}]`), options)
const lines = (texts: string[]): ParsedEvents => parseEventLines(Buffer.from(texts.join('\n')), options)

function faultsOf(parsed: ParsedEvents): LenientFaults {
  assert.ok(parsed.lenient, JSON.stringify(parsed))
  return parsed.lenient
}

describe('a lenient batch', () => {
  test('has its good events, and the faults of the others', () => {
    for (const read of [array, lines]) {
      const parsed = read([BAD, GOOD, '7', LARGE, GOOD])
      assert.ok(parsed.ok)
      assert.equal(parsed.events.length, 2)
      const { errors, mayBeMore, isGood, counts } = faultsOf(parsed)
      assert.deepEqual(isGood, [false, true, false, false, true])
      assert.deepEqual(
        errors.map(({ pointer }) => pointer),
        ['/0/user_id', '/2', '/3'],
      )
      assert.match(errors[2]?.detail ?? '', /at most 65536 bytes long; it has 6\d{4}\./)
      assert.equal(mayBeMore, false)
      assert.deepEqual(Object.fromEntries(counts), { 'invalid-event': 2, 'too-large': 1 })
    }
  })

  test('without faults says so', () => {
    assert.deepEqual(faultsOf(array([GOOD])), {
      errors: [],
      mayBeMore: false,
      isGood: [true],
      counts: new Map(),
    })
  })

  test('of lines has the fault of a line that is not JSON, with its place', () => {
    const parsed = lines([GOOD, '', '{"a":', `${GOOD} ${GOOD}`, GOOD])
    assert.ok(parsed.ok)
    assert.deepEqual(faultsOf(parsed).isGood, [true, false, false, true])
    assert.deepEqual(faultsOf(parsed).errors, [
      { pointer: '/1', detail: `Line 3, byte ${GOOD.length + 7}: the text ends too early.` },
      { pointer: '/2', detail: `Line 4, byte ${2 * GOOD.length + 9}: expected the end of the line.` },
    ])
    assert.deepEqual(Object.fromEntries(faultsOf(parsed).counts), { 'not-json': 2 })
  })

  test('without a good event is refused, with all faults', () => {
    const parsed = lines([BAD, LARGE, '{'])
    assert.ok(!parsed.ok && parsed.status === 422)
    assert.equal(parsed.detail, 'Nothing was accepted because of 3 faults, listed in errors.')
    assert.equal(parsed.count, 0, 'each is counted by its own problem')
    assert.deepEqual(Object.fromEntries(faultsOf(parsed).counts), {
      'invalid-event': 1,
      'too-large': 1,
      'not-json': 1,
    })
  })

  test('is refused as a whole if it is not UTF-8, no array, or has too many events', () => {
    for (const text of ['[{},', `[${GOOD}]]`, '[{},]']) {
      const parsed = parseEventArray(Buffer.from(text), options)
      assert.deepEqual([parsed.ok ? 202 : parsed.status, parsed.lenient], [400, undefined], text)
    }
    const latin1 = Buffer.from(`${GOOD}\n\xe9`, 'latin1')
    assert.deepEqual(Reflect.get(parseEventLines(latin1, options), 'problem'), 'not-utf8')
    for (const texts of [[], Array.from({ length: MAX_BATCH_EVENTS + 1 }, () => GOOD)]) {
      for (const parsed of [array(texts), lines(texts)]) {
        assert.ok(!parsed.ok && parsed.status === 422)
        assert.equal(parsed.lenient, undefined)
        assert.equal(parsed.count, texts.length)
      }
    }
    const broken = lines(Array.from({ length: MAX_BATCH_EVENTS + 1 }, () => '{'))
    assert.ok(!broken.ok && broken.lenient === undefined)
  })

  test(`I7: lists at most ${MAX_FAULTS} faults, says that there may be more, and still takes every good event`, () => {
    const parsed = array([...Array.from({ length: MAX_FAULTS + 50 }, () => BAD), GOOD])
    assert.ok(parsed.ok)
    assert.equal(parsed.events.length, 1)
    const { errors, mayBeMore, isGood, counts } = faultsOf(parsed)
    assert.equal(errors.length, MAX_FAULTS)
    assert.ok(mayBeMore)
    assert.equal(isGood.filter((good) => !good).length, MAX_FAULTS + 50)
    assert.equal(counts.get('invalid-event'), MAX_FAULTS + 50)
    const longNames = array([GOOD, ...Array.from({ length: 50 }, () => `{"${'n'.repeat(8_000)}":1}`)])
    assert.ok(faultsOf(longNames).mayBeMore)
    assert.ok(JSON.stringify(faultsOf(longNames).errors).length < 20_000)
  })

  test('takes an event if and only if it would be taken alone, and gives each fault that it would have alone', () => {
    const strict = { ...options, isLenient: false }
    fc.assert(
      fc.property(fc.array(eventText, { minLength: 1, maxLength: 5 }), (texts) => {
        const flat = texts.map((text) => text.replaceAll(/[\r\n]/g, ' '))
        const alone = flat.map((text) => parseEvent(Buffer.from(text), strict))
        const parsed = lines(flat)
        const { isGood, errors } = faultsOf(parsed)
        assert.deepEqual(
          isGood,
          alone.map(({ ok }) => ok),
        )
        assert.equal(parsed.ok, isGood.includes(true))
        const expected = alone.flatMap((one, i) =>
          one.ok || one.status !== 422
            ? []
            : one.errors.map((error) => ({ ...error, pointer: `/${i}${error.pointer}` })),
        )
        const notJson = errors.filter(({ detail }) => !detail.startsWith('Line '))
        assert.deepEqual(notJson, expected)
        assert.deepEqual(
          parsed.ok ? parsed.events.map(({ metadata }) => metadata.toString()) : [],
          alone.flatMap((one) => (one.ok ? one.events.map(({ metadata }) => metadata.toString()) : [])),
        )
      }),
      { numRuns: 500 },
    )
  })
})
