import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runChecks } from '../../../doctor/checks.ts'
import type { Facts } from '../../../doctor/facts.ts'
import type { Finding } from '../../../doctor/finding.ts'
import { healthy, ok, withPostgres } from './healthy.ts'
import { indexesOfTable, oneTable } from './healthy-layout.ts'

/** A healthy installation with these types of user_id; undefined: unknown. */
function withTypes(ofApi: string | undefined, ofColumn: 'bigint' | 'text' | undefined): Facts {
  const { postgres, api } = healthy()
  assert.ok(postgres.ok && postgres.value.tables.ok)
  const { events, ...tables } = postgres.value.tables.value
  assert.ok(events)
  const health = ofApi === undefined ? {} : { user_id_type: ofApi }
  return {
    ...withPostgres({ tables: ok({ ...tables, events: { ...events, userIdType: ofColumn } }) }),
    api: { ...api, answer: ok({ ready: true, reason: undefined, health }) },
  }
}

const bad = (facts: Facts): Finding[] => runChecks(facts).filter(({ level }) => level !== 'ok')

test('the type of user_id of the API and of the column are compared if both are known', () => {
  for (const facts of [
    withTypes('bigint', 'bigint'),
    withTypes('text', 'text'),
    withTypes(undefined, 'text'), // an API from before the setting
    withTypes('text', undefined),
  ])
    assert.deepEqual(bad(facts), [])
  const [strict] = bad(withTypes('bigint', 'text'))
  assert.deepEqual([strict?.check, strict?.level], ['api', 'warning'])
  assert.match(
    strict?.text ?? '',
    /has USER_ID_TYPE=bigint, but the column user_id is text: it refuses .*422/,
  )
  const [lax] = bad(withTypes('text', 'bigint'))
  assert.deepEqual([lax?.check, lax?.level], ['api', 'critical'])
  assert.match(lax?.text ?? '', /has USER_ID_TYPE=text, but the column user_id is bigint: the sink pauses/)
})

test('of each index for queries that one table lacks, the note has the statement', () => {
  const { postgres } = healthy()
  assert.ok(postgres.ok && postgres.value.tables.ok)
  const layout = ok(oneTable(1_000))
  const indexes = ok(indexesOfTable().filter(({ name }) => !name.endsWith('_idx')))
  const [note, ...others] = bad(withPostgres({ layout, indexes }))
  assert.deepEqual([note?.check, note?.level, others], ['indexes', 'note', []])
  assert.match(
    note?.text ?? '',
    /no index on \(user_id,timestamp\), \(.*\), \(timestamp\) and \(received_at\)/,
  )
  assert.equal(note?.mend?.match(/CREATE INDEX CONCURRENTLY [^;]+;/g)?.length, 4)
  // The columns come first.
  const missingMigrations = ['006_optional_fields.sql']
  const tables = ok({ ...postgres.value.tables.value, missingMigrations })
  assert.deepEqual(
    bad(withPostgres({ layout, indexes, tables })).map(({ check, level }) => `${level} ${check}`),
    ['critical tables'],
  )
})
