/**
 * The JSON Schema files, the examples and the validator agree, except for the rules that a schema cannot
 * express (beyondSchema).
 */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { Ajv2020 } from 'ajv/dist/2020.js'
import * as formats from 'ajv-formats'
import * as fc from 'fast-check'
import * as made from '../../../event/json-schema.ts'
import { encodeRecord } from '../../../event/record/encode.ts'
import type { ParsedEvents } from '../../../producer-api/intake/event-list.ts'
import { parseEvent } from '../../../producer-api/intake/parse-body.ts'
import invalidEvents from '../../../schemas/examples/invalid-events.json' with { type: 'json' }
import eventSchema from '../../../schemas/event.schema.json' with { type: 'json' }
import recordSchema from '../../../schemas/record.schema.json' with { type: 'json' }
import { eventText } from '../../arbitrary/event-text.ts'

// JsonValue has rules for values of several types.
const ajv = new Ajv2020({ strict: true, strictTypes: false })
formats.default.default(ajv)
const isEvent = ajv.compile(eventSchema)
const isRecord = ajv.compile(recordSchema)

const EXAMPLES = new URL('../../../schemas/examples/', import.meta.url)
const read = (name: string): Buffer => readFileSync(new URL(name, EXAMPLES))
const parse = (body: Buffer): ParsedEvents =>
  parseEvent(body, { newId: () => '0198c0de-7a5b-7000-8000-000000000000', userIdType: 'bigint' })

test('the schema files are those of the table of fields (fix: npm run schemas)', () => {
  const text = (name: string): string =>
    readFileSync(new URL(`../../../schemas/${name}.schema.json`, import.meta.url), 'utf8')
  assert.deepEqual(JSON.parse(JSON.stringify(made.eventSchema('bigint'))), eventSchema)
  assert.deepEqual(JSON.parse(JSON.stringify(made.recordSchema('bigint'))), recordSchema)
  for (const name of ['event', 'record'])
    assert.match(text(name), /"minimum": -9223372036854775808,\s+"maximum": 9223372036854775807\s/)
})

test('valid examples are valid', () => {
  const names = readdirSync(EXAMPLES).filter((name) => !name.startsWith('invalid'))
  assert.ok(names.length >= 4)
  for (const name of names) {
    const body = read(name)
    const validate = name.startsWith('event-') ? isEvent : isRecord
    assert.ok(validate(JSON.parse(body.toString())), `${name}: ${JSON.stringify(validate.errors)}`)
    assert.equal(parse(body).ok, name.startsWith('event-'), name)
  }
})

test('invalid examples are refused with the expected pointers, and by the schema if it can express the rule', () => {
  for (const { why, body, pointers, schemaRefuses } of invalidEvents) {
    const parsed = parse(Buffer.from(body))
    assert.ok(!parsed.ok && parsed.status === 422, why)
    assert.deepEqual(
      parsed.errors.map((error) => error.pointer),
      pointers,
      why,
    )
    assert.equal(isEvent(JSON.parse(body)), !schemaRefuses, why)
  }
})

test('the examples in the schemas are valid, and records of the API match the record schema', () => {
  for (const example of eventSchema.examples) {
    assert.ok(isEvent(example))
    const parsed = parse(Buffer.from(JSON.stringify(example)))
    assert.ok(parsed.ok)
    const record = encodeRecord(parsed.events[0]!, '2025-01-31T12:00:00.250000Z')
    assert.ok(isRecord(JSON.parse(record.toString())), JSON.stringify(isRecord.errors))
  }
  for (const example of recordSchema.examples) assert.ok(isRecord(example))
})

/** Whether a fault is one that the schema cannot express; see its description. */
function beyondSchema(text: string, pointer: string, repeated: Set<string>): boolean {
  // After parsing, only the last value of a repeated name is left.
  if (repeated.has(pointer)) return true
  // Values that jsonb cannot hold.
  if (pointer.startsWith('/metadata/')) return true
  // A lone surrogate in a text.
  if (/^\/[a-z_]+$/.test(pointer) && /\\u[dD][89a-fA-F]/.test(text)) return true
  // After parsing, 2^63 is an ordinary number.
  const hidden = /[.eE]|\d{19}/.test(/"user_id"\s*:\s*(-?[0-9.eE+-]+)/.exec(text)?.[1] ?? '')
  if (pointer === '/user_id') return hidden
  // Years in UTC.
  return pointer === '/timestamp' && /"timestamp"\s*:"(0001-01-01|9999-12-31)/.test(text)
}

test('validator and schema agree on events that are nearly valid', () => {
  const seen = { both: 0, neither: 0, validatorOnly: 0 }
  fc.assert(
    fc.property(eventText, (text) => {
      const parsed = parse(Buffer.from(text))
      if (!parsed.ok && parsed.status !== 422) return
      const fits = isEvent(JSON.parse(text))
      if (parsed.ok) {
        assert.ok(fits, `the schema refuses what the validator accepts: ${JSON.stringify(isEvent.errors)}`)
        seen.both++
      } else if (fits) {
        const twice = parsed.errors.filter((error) => error.detail.endsWith('must appear only once.'))
        const repeated = new Set(twice.map((error) => error.pointer))
        for (const { pointer, detail } of parsed.errors) {
          assert.ok(beyondSchema(text, pointer, repeated), `${pointer}: ${detail}`)
        }
        seen.validatorOnly++
      } else seen.neither++
    }),
    { numRuns: 3_000 },
  )
  assert.ok(Math.min(...Object.values(seen)) > 50, JSON.stringify(seen))
})
