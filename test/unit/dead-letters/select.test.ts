import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { type Selection, whereOf } from '../../../dead-letters/select.ts'

const all: Selection = { topic: 'events', states: [] }

test('a selection filters by the fields it sets, and by nothing else', () => {
  assert.deepEqual(whereOf(all), { where: 'topic = $1', values: ['events'] })
  assert.deepEqual(whereOf({ ...all, states: ['open'], reasons: [], places: [], cluster: undefined }), {
    where: `topic = $1 AND state = 'open'`,
    values: ['events'],
  })
  assert.deepEqual(whereOf({ ...all, states: ['open', 'discarded'], offset: 9_007_199_254_740_993n }), {
    where: 'topic = $1 AND state = ANY($2::text[]) AND "offset" = $3::bigint',
    values: ['events', ['open', 'discarded'], '9007199254740993'],
  })
  const places = [
    { partition: 0, offset: 17n },
    { partition: 3, offset: 4n },
  ]
  assert.deepEqual(whereOf({ ...all, places }), {
    where: 'topic = $1 AND (partition, "offset") IN (SELECT * FROM unnest($2::int[], $3::bigint[]))',
    values: ['events', [0, 3], ['17', '4']],
  })
  assert.deepEqual(whereOf({ ...all, after: { clusterId: 'c', partition: 1, offset: 2n } }), {
    where: 'topic = $1 AND (cluster_id, topic, partition, "offset") > ($2, $3, $4::int, $5::bigint)',
    values: ['events', 'c', 'events', 1, '2'],
  })
})

test('property: user input is never part of the SQL, and every parameter is numbered', () => {
  const text = fc.string({ minLength: 3 }).map((typed) => `'"; ${typed}`)
  const some = fc.option(text, { nil: undefined })
  const selection = fc.record({
    topic: text,
    states: fc.constant([]),
    cluster: some,
    sqlstate: some,
    since: some,
    until: some,
    snapshot: some,
    eventId: some,
    partition: fc.option(fc.nat(), { nil: undefined }),
  })
  fc.assert(
    fc.property(selection, (typed) => {
      const { where, values } = whereOf(typed)
      assert.doesNotMatch(where, /['";]{3}|'/)
      const numbers = [...where.matchAll(/\$(\d+)/g)].map(([, number]) => Number(number))
      assert.deepEqual(
        numbers,
        values.map((_, index) => index + 1),
      )
    }),
  )
})
