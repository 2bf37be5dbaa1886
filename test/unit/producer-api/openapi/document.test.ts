import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Ajv2020 } from 'ajv/dist/2020.js'
import * as formats from 'ajv-formats'
import { openApiDocument } from '../../../../producer-api/openapi/document.ts'
import { STRUCTURED } from '../../../../producer-api/intake/cloud-events.ts'
import { parseEvent, parseEventArray } from '../../../../producer-api/intake/parse-body.ts'
import { PROBLEMS } from '../../../../producer-api/http/problem.ts'

const document: Json = JSON.parse(JSON.stringify(openApiDocument('bigint')))
const options = { newId: () => '0198c0de-7a5b-7000-8000-000000000000', userIdType: 'bigint' as const }

type Json = null | boolean | number | string | Json[] | { [name: string]: Json }

/** Every object in the document with its path. */
function* objects(value: Json, path: string): Generator<[string, { [name: string]: Json }]> {
  if (value === null || typeof value !== 'object') return
  if (!Array.isArray(value)) yield [path, value]
  for (const [name, item] of Object.entries(value))
    yield* objects(item, `${path}/${name.replaceAll('/', '~1')}`)
}

function at(path: string): Json {
  let value: Json | undefined = document
  for (const name of path.split('/').slice(1)) {
    assert.ok(value !== null && typeof value === 'object' && !Array.isArray(value), path)
    value = value[name.replaceAll('~1', '/')]
  }
  assert.ok(value !== undefined, `${path} is missing`)
  return value
}

test('every reference can be resolved', () => {
  let count = 0
  for (const [, object] of objects(document, '')) {
    if (typeof object['$ref'] !== 'string') continue
    at(object['$ref'].slice(1))
    count++
  }
  assert.ok(count > 20)
})

test('every example is valid by its schema', () => {
  const ajv = new Ajv2020({ strict: false })
  formats.default.default(ajv)
  ajv.addSchema({ $id: 'doc', ...Object(document) })
  let count = 0
  for (const [path, object] of objects(document, '')) {
    if (!('schema' in object) || !/\/content\/[^/]+$/.test(path)) continue
    const validate = ajv.getSchema(`doc#${path.replaceAll(' ', '%20')}/schema`)
    assert.ok(validate, path)
    const named = Object.values(Object(object['examples'] ?? {})).map((example) => Object(example).value)
    for (const example of 'example' in object ? [object['example']] : named) {
      assert.ok(validate(example), `${path}: ${JSON.stringify(validate.errors)}`)
      count++
    }
  }
  assert.ok(count > 10, `${count} examples`)
})

function exampleOf(path: string, type: string): Json {
  return at(`/paths/~1${path}/post/requestBody/content/${type.replace('/', '~1')}/example`)
}

test('the bodies prefilled by "Try it out" are accepted', () => {
  const event = Buffer.from(JSON.stringify(exampleOf('event', 'application/json')))
  assert.ok(parseEvent(event, options).ok)
  assert.ok(!event.includes('event_id'), 'a second try would otherwise be a duplicate')
  assert.ok(parseEventArray(Buffer.from(JSON.stringify(exampleOf('events', 'application/json'))), options).ok)
})

test('the schema of a CloudEvent and the API take the same types of data', () => {
  const ajv = new Ajv2020({ strict: false, validateFormats: false })
  ajv.addSchema({ $id: 'doc', ...Object(document) })
  const validate = ajv.getSchema('doc#/components/schemas/CloudEvent')!
  const example = Object(exampleOf('event', 'application/cloudevents+json'))
  const json = [
    'application/json',
    'text/json; charset=utf-8',
    'application/vnd.shop.v1+json;charset=UTF-8',
    null,
  ]
  for (const datacontenttype of [
    ...json,
    'application/xml',
    'application/json; charset=latin1',
    'json',
    '',
    5,
  ]) {
    const event = { ...example, datacontenttype }
    const isJson = json.includes(datacontenttype as string)
    assert.equal(validate(event), isJson, `${datacontenttype}`)
    assert.equal(
      parseEvent(Buffer.from(JSON.stringify(event)), options, STRUCTURED).ok,
      isJson,
      `${datacontenttype}`,
    )
  }
})

test('every problem type is described under its status', () => {
  const described = new Set<string>()
  for (const [path, object] of objects(at('/components/responses'), '')) {
    const match = /^\/([^/]+)\/content\/.*\/examples\/([^/]+)\/value$/.exec(path)
    if (match === null) continue
    const [, status, kind] = match
    described.add(kind!)
    if (status !== 'default') assert.equal(object['status'], Number(status))
  }
  assert.deepEqual([...described].toSorted(), Object.keys(PROBLEMS).toSorted())
})

test('the bounds of user_id are exact, although a JavaScript number cannot hold them', () => {
  assert.match(
    JSON.stringify(openApiDocument('bigint')),
    /"minimum":-9223372036854775808,"maximum":9223372036854775807/,
  )
})
