import assert from 'node:assert/strict'
import type { IncomingMessage } from 'node:http'
import { describe, test } from 'node:test'
import * as fc from 'fast-check'
import type { UserIdType } from '../../../../event/kinds.ts'
import { JsonScan } from '../../../../event/json/scan-result.ts'
import { scanText } from '../../../../event/json/scan.ts'
import { MAX_EVENT_BYTES } from '../../../../event/limits.ts'
import { encodeRecord } from '../../../../event/record/encode.ts'
import {
  BATCH_PARSERS,
  EVENT_PARSERS,
  type Parsers,
  parserFor,
} from '../../../../producer-api/intake/choose-parser.ts'
import { ATTRIBUTES } from '../../../../producer-api/intake/cloud-event-attributes.ts'
import { cloudEventId } from '../../../../producer-api/intake/cloud-event-id.ts'
import type { ParsedEvents, ParseOptions } from '../../../../producer-api/intake/event-list.ts'
import { parseEvent } from '../../../../producer-api/intake/parse-body.ts'
import { eventText, textEventText } from '../../../arbitrary/event-text.ts'

const ID = '0198c0de-7a5b-7000-8000-0123456789ab'
const RECEIVED_AT = '2025-01-31T12:00:01.250000Z'
const STRUCTURED = 'application/cloudevents+json; charset=UTF-8'
const BATCH = 'application/cloudevents-batch+json'
const EVENT = {
  specversion: '"1.0"',
  id: `"${ID.toUpperCase()}"`,
  source: '"/shop"',
  type: '"checkout"',
  time: '"2025-01-31T13:00:00+01:00"',
  subject: '"42"',
  data: '{"n": 9007199254740993, "z":1e400}',
}
const HEADERS = {
  'ce-specversion': '1.0',
  'ce-id': ID,
  'ce-source': '/shop',
  'ce-type': 'checkout',
  'ce-time': '2025-01-31T12:00:00Z',
  'ce-subject': '42',
}
/** Of the event above, in each mode. */
const RECORD = `{"event_id":"${ID}","user_id":42,"timestamp":"2025-01-31T12:00:00.000000Z","event_name":"checkout","source":"/shop","received_at":"${RECEIVED_AT}","metadata":{"n": 9007199254740993, "z":1e400}}`

const options: ParseOptions = { userIdType: 'bigint', newId: () => assert.fail('a CloudEvent has an id') }

/** Members as JSON texts; undefined ones are left out. */
function json(members: Record<string, string | undefined>): string {
  const texts = Object.entries(members).flatMap(([name, value]) =>
    value === undefined ? [] : [`${JSON.stringify(name)}: ${value}`],
  )
  return `{${texts.join(', ')}}`
}
const cloudEvent = (change: Record<string, string | undefined> = {}): string => json({ ...EVENT, ...change })

/** What the API makes of a body with these headers; a text is the reason of a 415. */
function parse(
  parsers: Parsers,
  headers: Record<string, string | string[]>,
  body: string | Buffer,
  parseOptions = options,
): ParsedEvents | string {
  const headersDistinct = Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, [value].flat()]),
  )
  const joined = Object.fromEntries(
    Object.entries(headersDistinct).map(([name, values]) => [name, values.join(', ')]),
  )
  const parser = parserFor({ headers: joined, headersDistinct } as unknown as IncomingMessage, parsers)
  return typeof parser === 'string' ? parser : parser(Buffer.from(body), parseOptions)
}
const structured = (body: string, parseOptions = options): ParsedEvents | string =>
  parse(EVENT_PARSERS, { 'content-type': STRUCTURED }, body, parseOptions)
const binary = (headers: Record<string, string | string[]>, body: string | Buffer = EVENT.data) =>
  parse(EVENT_PARSERS, { ...HEADERS, ...headers }, body)

function records(parsed: ParsedEvents | string): string[] {
  assert.ok(typeof parsed !== 'string' && parsed.ok, JSON.stringify(parsed))
  return parsed.events.map((event) => encodeRecord(event, RECEIVED_AT).toString())
}

function faults(parsed: ParsedEvents | string, status = 422): Record<string, string> {
  assert.ok(typeof parsed !== 'string' && !parsed.ok && parsed.status === status, JSON.stringify(parsed))
  return Object.fromEntries((parsed.errors ?? []).map(({ pointer, detail }) => [pointer, detail]))
}

function reasonOf(parsed: ParsedEvents | string): string {
  assert.ok(typeof parsed === 'string', JSON.stringify(parsed))
  return parsed
}

function detailOf(parsed: ParsedEvents | string, status: number): string {
  assert.ok(typeof parsed !== 'string' && !parsed.ok && parsed.status === status, JSON.stringify(parsed))
  return parsed.detail
}

describe('a CloudEvent', () => {
  test('is the record of its attributes, with data byte for byte, in each mode', () => {
    assert.deepEqual(records(structured(cloudEvent())), [RECORD])
    assert.deepEqual(records(binary({})), [RECORD])
    for (const parsed of [
      parse(BATCH_PARSERS, { 'content-type': BATCH }, `[${cloudEvent()}]`),
      parse(BATCH_PARSERS, { 'content-type': STRUCTURED }, cloudEvent()),
      parse(BATCH_PARSERS, HEADERS, EVENT.data),
    ]) {
      assert.deepEqual(records(parsed), [RECORD])
    }
  })

  test('has the fields anonymous_id, session_id and event_type as extensions; others are ignored', () => {
    const extensions = { anonymousid: '"v-1"', sessionid: '"s-1"', eventtype: '"track"' }
    const ignored = {
      traceparent: '"00-1"',
      dataschema: '"x"',
      comexample: '"\\ud800"',
      other: '5',
      nothing: 'null',
    }
    const [record = ''] = records(structured(cloudEvent({ ...extensions, ...ignored, subject: 'null' })))
    assert.equal(
      record.slice(51, record.indexOf(',"received_at"')),
      '"timestamp":"2025-01-31T12:00:00.000000Z","anonymous_id":"v-1","event_name":"checkout","event_type":"track","session_id":"s-1","source":"/shop"',
    )
    const headers = {
      'ce-anonymousid': 'v-1',
      'ce-sessionid': 's-1',
      'ce-eventtype': 'track',
      'ce-other': '5',
    }
    assert.ok(
      records(binary(headers))[0]?.includes(
        '"anonymous_id":"v-1","event_name":"checkout","event_type":"track"',
      ),
    )
  })

  test('without data has empty metadata', () => {
    for (const parsed of [structured(cloudEvent({ data: undefined })), binary({}, '')]) {
      assert.match(records(parsed)[0] ?? '', /"metadata":\{\}\}$/)
    }
  })

  test('lists all faults, with pointers into the CloudEvent', () => {
    const parsed = structured(
      `{"specversion":"0.3","id":"","source":1,"time":"now","subject":"me","subject":"2","data":{"a":["\\u0000"]},"sessionid":""}`,
    )
    assert.deepEqual(faults(parsed), {
      '/subject':
        'subject must be an integer from -9223372036854775808 to 9223372036854775807, as a number, or as its digits in a string, or be omitted if anonymousid is there.',
      '/specversion': 'specversion must be "1.0".',
      '/id': 'id must be a string of at least one character.',
      '/source': 'source must be a string of 1 to 100 characters.',
      '/type': 'type is missing: it must be a string of 1 to 255 characters.',
      '/time': faults(parsed)['/time'],
      '/data/a/0': 'A string must not contain the character \\u0000.',
      '/sessionid': 'sessionid must be a string of 1 to 255 characters, or be omitted.',
    })
    assert.match(faults(parsed)['/time'] ?? '', /^time must be a date and time as a string/)
    assert.deepEqual(Object.keys(faults(structured(cloudEvent({ time: 'null', subject: undefined })))), [
      '/time',
      '/subject',
    ])
    assert.deepEqual(Object.keys(faults(structured('7'))), [''])
    const batch = parse(
      BATCH_PARSERS,
      { 'content-type': BATCH },
      `[${cloudEvent()},${cloudEvent({ type: undefined })},[]]`,
    )
    assert.deepEqual(Object.keys(faults(batch)), ['/1/type', '/2'])
    const single = parse(BATCH_PARSERS, { 'content-type': STRUCTURED }, cloudEvent({ type: undefined }))
    assert.deepEqual(Object.keys(faults(single)), ['/0/type'])
    assert.match(detailOf(structured('{"id":}'), 400), /^Byte 6:/)
  })

  test('names a repeated attribute once', () => {
    assert.deepEqual(faults(structured(cloudEvent().replace('{', '{"type":"a","type":"b",'))), {
      '/type': 'type must appear only once.',
    })
  })

  test('with data that are no JSON object is a 422; that are no JSON, or binary, a 415 with the reason', () => {
    for (const data of ['[]', '"text"', '1', 'null'])
      assert.deepEqual(faults(structured(cloudEvent({ data }))), {
        '/data': 'data must be a JSON object, or be omitted.',
      })
    assert.match(
      detailOf(structured(cloudEvent({ data: undefined, data_base64: '"e30="' })), 415),
      /^The event has data_base64: only data that are a JSON object can be stored/,
    )
    for (const type of ['"text/plain"', '"application/xml"', '"application/json; charset=latin1"', '5']) {
      assert.match(
        detailOf(structured(cloudEvent({ datacontenttype: type })), 415),
        /datacontenttype that is not JSON in UTF-8/,
      )
    }
    for (const type of [
      '"application/json"',
      '"text/JSON; charset=\\"UTF-8\\""',
      '"application/vnd.shop+json;v=1"',
      'null',
    ])
      assert.deepEqual(records(structured(cloudEvent({ datacontenttype: type, data_base64: 'null' }))), [
        RECORD,
      ])
    const batch = parse(
      BATCH_PARSERS,
      { 'content-type': BATCH },
      `[${cloudEvent()},${cloudEvent({ data_base64: '""' })},{]`,
    )
    assert.match(detailOf(batch, 400), /^Byte/)
    const both = parse(
      BATCH_PARSERS,
      { 'content-type': BATCH },
      `[${cloudEvent()},${cloudEvent({ data_base64: '""' })},7]`,
    )
    assert.match(detailOf(both, 415), /^Event 1 has data_base64/)
  })

  test('in a lenient batch is refused alone', () => {
    const bodies = [cloudEvent(), cloudEvent({ data_base64: '""' }), cloudEvent({ subject: '"x"' }), '7']
    const parsed = parse(BATCH_PARSERS, { 'content-type': BATCH }, `[${bodies.join(',')}]`, {
      ...options,
      isLenient: true,
    })
    assert.deepEqual(records(parsed), [RECORD])
    const { errors, counts } = (parsed as Exclude<typeof parsed, string>).lenient ?? assert.fail()
    assert.deepEqual(
      errors.map(({ pointer }) => pointer),
      ['/1', '/2/subject', '/3'],
    )
    assert.deepEqual(Object.fromEntries(counts), { 'unsupported-media-type': 1, 'invalid-event': 2 })
  })

  test('above the size limit is a 413', () => {
    const data = `{"a":"${'x'.repeat(MAX_EVENT_BYTES)}"}`
    assert.match(detailOf(structured(cloudEvent({ data })), 413), /^The event must be at most 65536 bytes/)
    assert.match(detailOf(binary({}, data), 413), /^The event must be at most 65536 bytes/)
  })
})

describe('in binary mode', () => {
  test('headers are unquoted and percent-decoded once', () => {
    for (const [header, source] of [
      ['Euro%20%E2%82%AC%20%F0%9F%98%80', 'Euro € 😀'],
      ['a%2520b', 'a%20b'],
      ['"a \\"b\\" c%20d"', 'a "b" c d'],
      ['%e2%82%ac', '€'],
      ['100% sure, 5%zz', '100% sure, 5%zz'],
      [Buffer.from('café').toString('latin1'), 'café'],
    ] as const) {
      const [record = ''] = records(binary({ 'ce-source': header }))
      assert.equal((JSON.parse(record) as { source: string }).source, source, header)
    }
  })

  test('faults name the header; what is no UTF-8, or NUL, is refused', () => {
    const parsed = binary(
      { 'ce-subject': ['1', '2'], 'ce-type': '', 'ce-source': '%C0%A0', 'ce-sessionid': 'a%00' },
      '[]',
    )
    assert.deepEqual(faults(parsed), {
      '/subject': 'The header ce-subject must appear only once.',
      '/source': 'The header ce-source must be percent-encoded UTF-8 without the character NUL.',
      '/type': 'The header ce-type must be a string of 1 to 255 characters.',
      '/sessionid': 'The header ce-sessionid must be percent-encoded UTF-8 without the character NUL.',
      '/data': 'The body must be a JSON object, or be omitted.',
    })
    assert.deepEqual(
      faults(parse(EVENT_PARSERS, { 'ce-specversion': '1.0', 'ce-subject': '1' }, '{"a":1e999999}')),
      {
        '/id': 'The header ce-id is missing: it must be a string of at least one character.',
        '/source': 'The header ce-source is missing: it must be a string of 1 to 100 characters.',
        '/type': 'The header ce-type is missing: it must be a string of 1 to 255 characters.',
        '/time': faults(binary({ 'ce-time': 'now' }))['/time']?.replace('must', 'is missing: it must'),
        '/data/a': faults(structured(cloudEvent({ data: '{"a":1e999999}' })))['/data/a'],
      },
    )
  })

  test('the body cannot add attributes', () => {
    for (const body of ['{},"subject":"43"', '{}}', '{"a":1},"b":{"c":1}'])
      assert.match(detailOf(binary({}, body), 400), /^Byte \d+: expected the end of the text/)
    assert.match(
      detailOf(binary({}, Buffer.from('{"a":"\xe9"}', 'latin1')), 400),
      /^Byte 6: the body must be UTF-8/,
    )
    assert.deepEqual(records(binary({}, `\ufeff  ${EVENT.data}\n`)), [RECORD])
  })

  test('the content type is that of the data, and must be JSON; none is JSON', () => {
    for (const type of [
      'application/json',
      'application/json; charset=utf-8',
      'text/json',
      'application/vnd.a+json',
    ])
      assert.deepEqual(records(binary({ 'content-type': type })), [RECORD])
    for (const type of [
      'text/plain',
      'application/xml',
      'application/json; charset=latin1',
      'application/x-ndjson',
    ])
      assert.match(reasonOf(binary({ 'content-type': type })), /that of its data: it must be JSON in UTF-8/)
    assert.deepEqual(
      records(parse(EVENT_PARSERS, { ...HEADERS, 'content-type': STRUCTURED, 'ce-type': 'x' }, cloudEvent())),
      [RECORD],
    )
  })
})

test('a type that is read elsewhere is refused with the path, one that is not read with those that are', () => {
  assert.equal(
    parse(EVENT_PARSERS, { 'content-type': `${BATCH}; charset=utf-8` }, '[]'),
    'A batch of CloudEvents must be sent to POST /events.',
  )
  assert.match(
    reasonOf(parse(EVENT_PARSERS, { 'content-type': 'application/cloudevents+avro' }, '')),
    /^The content type must be application\/json or text\/plain or application\/cloudevents\+json, in UTF-8\.$/,
  )
})

describe('an id that is no UUID', () => {
  const idOf = (change: Record<string, string>): string => {
    const [record = ''] = records(structured(cloudEvent({ id: '"A-1"', ...change })))
    return (JSON.parse(record) as { event_id: string }).event_id
  }

  test('gives a UUIDv8 with the time of a UUIDv7, which depends on time, source and id alone', () => {
    const id = idOf({})
    // As Python's hashlib computes it.
    assert.equal(id, '0194bc3b-7200-81c1-90f2-6b1b0ba3fd0a')
    assert.equal(parseInt(id.replaceAll('-', '').slice(0, 12), 16), Date.parse('2025-01-31T12:00:00Z'))
    assert.equal(idOf({ time: '"2025-01-31 12:00:00Z"', type: '"other"', subject: '7', data: '{}' }), id)
    const others = [{ id: '"A-2"' }, { source: '"/shop2"' }, { time: '"2025-01-31T12:00:00.000001Z"' }].map(
      idOf,
    )
    assert.equal(new Set([id, ...others]).size, 4)
    for (const other of others)
      assert.match(other, /^0194bc3b-7200-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  })

  test('is delimited from the source, and may be of any time', () => {
    const time = '2025-01-31T12:00:00.000000Z'
    assert.notEqual(cloudEventId(time, 'a', 'bc'), cloudEventId(time, 'ab', 'c'))
    assert.notEqual(cloudEventId(time, 'a","b', 'c'), cloudEventId(time, 'a', 'b","c'))
    assert.match(cloudEventId('0001-01-01T00:00:00.000000Z', 'a', 'b'), /^00000000-0000-8/)
    assert.match(cloudEventId('1970-01-01T00:00:00.001999Z', 'a', 'b'), /^00000000-0001-8/)
    assert.match(cloudEventId('9999-12-31T23:59:59.999999Z', 'a', 'b'), /^e677d21f-dbff-8/)
  })
})

const ATTRIBUTE_OF = new Map<string, string>(ATTRIBUTES.map(({ name, field }) => [field, name]))
const NEEDED: Record<string, string> = { event_id: `"${ID}"`, source: '"/s"', event_name: '"t"' }
const scan = new JsonScan()

/** The fields of an event as JSON texts, those that a CloudEvent needs among them; undefined if it has others or is no object. */
function fieldsOf(text: string): [name: string, value: string][] | undefined {
  const body = Buffer.from(text)
  if (!scanText(body, 0, body.length, scan)) return undefined
  const members = Array.from({ length: scan.memberCount }, (_, i): [string, string] => [
    scan.name(body, i),
    body.toString('utf8', scan.valueStart[i], scan.valueEnd[i]),
  ])
  const names = new Set(members.map(([name]) => name))
  if (names.size < members.length || members.some(([name]) => !ATTRIBUTE_OF.has(name))) return undefined
  const usual = members.filter(
    ([name, value]) => name !== 'event_id' && !(name in NEEDED && value === 'null'),
  )
  const present = new Set(usual.map(([name]) => name))
  return [...usual, ...Object.entries(NEEDED).filter(([name]) => !present.has(name))]
}

const asText = (members: [string, string][]): string =>
  `{${members.map(([name, value]) => `${JSON.stringify(name)}:${value}`).join(',')}}`

for (const [userIdType, texts] of [
  ['bigint', eventText],
  ['text', textEventText],
] as [UserIdType, fc.Arbitrary<string>][]) {
  test(`a CloudEvent gives the record, or the faults, of the equivalent event (user_id: ${userIdType})`, () => {
    let accepted = 0
    let refused = 0
    const parseOptions = { ...options, userIdType }
    fc.assert(
      fc.property(texts, (text) => {
        const fields = fieldsOf(text)
        if (fields === undefined || !fields.some(([name]) => name === 'metadata')) return
        const own = parseEvent(Buffer.from(asText(fields)), parseOptions)
        const attributes = fields.map(([name, value]): [string, string] => [
          ATTRIBUTE_OF.get(name) ?? '',
          value,
        ])
        const cloud = structured(asText([['specversion', '"1.0"'], ...attributes]), parseOptions)
        if (own.ok) {
          accepted++
          assert.deepEqual(records(cloud), records(own))
        } else {
          refused++
          const pointers = Object.keys(faults(own)).map((pointer) =>
            pointer.replace(/^\/([a-z_]+)/, (_, name: string) => `/${ATTRIBUTE_OF.get(name)}`),
          )
          assert.deepEqual(Object.keys(faults(cloud)).toSorted(), pointers.toSorted())
        }
      }),
      { numRuns: 3_000 },
    )
    assert.ok(accepted > 200 && refused > 200, `${accepted} accepted, ${refused} refused`)
  })
}

test('binary mode gives the record of the structured mode, whatever the strings are', () => {
  let accepted = 0
  const names = ['source', 'type', 'subject', 'anonymousid', 'sessionid', 'eventtype', 'id']
  const value = fc.string({ unit: 'binary', minLength: 1, maxLength: 30 })
  fc.assert(
    fc.property(fc.record(Object.fromEntries(names.map((name) => [name, value]))), (strings) => {
      const encoded = Object.fromEntries(
        names.map((name) => [`ce-${name}`, encodeURIComponent(strings[name]!)]),
      )
      const parseOptions: ParseOptions = { ...options, userIdType: 'text' }
      const headers = { ...HEADERS, ...encoded }
      const quoted = Object.fromEntries(names.map((name) => [name, JSON.stringify(strings[name])]))
      const expected = structured(cloudEvent(quoted), parseOptions)
      const parsed = parse(EVENT_PARSERS, headers, EVENT.data, parseOptions)
      assert.ok(typeof expected !== 'string' && typeof parsed !== 'string')
      assert.equal(parsed.ok, expected.ok)
      if (!expected.ok) return
      accepted++
      assert.deepEqual(records(parsed), records(expected))
    }),
    { numRuns: 500 },
  )
  assert.ok(accepted > 200, `${accepted} accepted`)
})
