import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { after, beforeEach, test } from 'node:test'
import type { Finding, Verdict } from '../../tools/verify/verify.ts'
import { DeadLetterBench } from '../support/dead-letters.ts'
import { idOf, record } from '../support/records.ts'
import { runFirehose } from '../support/run-firehose.ts'
import { caughtUp, storedRows } from '../support/sink-health.ts'

/* verify knows every field of an event: what differs in one is DIFFERENT, and named. */

const bench = await DeadLetterBench.open()
const { pipeline, sink } = bench
after(async () => await pipeline.close())
beforeEach(async () => {
  await bench.clear()
})

/** Each optional field with a text that is hard to copy. */
const TEXTS = {
  anonymous_id: `${'😀'.repeat(254)}"`,
  event_name: 'a "b" \\ c / \t\n\u0001 é \u2028 metadata":{',
  event_type: '\\"metadata\\":{',
  session_id: '\u001f'.repeat(255),
  source: '\\'.repeat(100),
}
const CLIENT = { ip_address: '2001:db8:1::/48', user_agent: 'Mozilla/5.0 ("quoted")' }
const RECEIVED = '2026-01-02T03:04:06.000000Z'

/** The canonical record of event `n` with all fields, except those that are undefined in `change`. */
function full(n: number, change: Record<string, unknown> = {}): string {
  const { user_id, timestamp, metadata } = JSON.parse(record(n))
  const sent = { event_id: idOf(n), user_id, timestamp, ...TEXTS }
  const added = { received_at: RECEIVED, key_label: undefined, ...CLIENT }
  return JSON.stringify({ ...sent, ...added, metadata, ...change })
}

async function store(...records: string[]): Promise<void> {
  await bench.send(...records)
  await storedRows(pipeline, new Set(records.map((text) => JSON.parse(text).event_id)).size)
  await caughtUp(sink)
}

/** Compares also `acked` as acknowledged events. */
async function check(...acked: string[]): Promise<Verdict> {
  const file = pipeline.path('acked.tsv')
  writeFileSync(file, acked.map((body) => `${JSON.parse(body).event_id}\t${body}\n`).join(''))
  return await pipeline.verify(file)
}

/** The same members in the opposite order, which is not the canonical form. */
function reversed(text: string): string {
  return JSON.stringify(Object.fromEntries(Object.entries(JSON.parse(text)).toReversed()))
}

const why = (findings: readonly Finding[]): string[] => findings.map((finding) => finding.why)

const CHANGES: Readonly<Record<string, string>> = {
  user_id: 'user_id + 1',
  timestamp: `"timestamp" + interval '1 microsecond'`,
  ...Object.fromEntries([...Object.keys(TEXTS), 'user_agent'].map((name) => [name, `${name} || ' '`])),
  ip_address: `set_masklen(ip_address, 49)`,
  metadata: `metadata || '{"more": 1}'`,
}

for (const [field, change] of Object.entries(CHANGES)) {
  for (const value of field === 'timestamp' || field === 'metadata' ? [change] : [change, 'NULL']) {
    test(`I2: ${field} is changed by UPDATE (${value}): verify says DIFFERENT, with its name`, async () => {
      await store(full(1), full(2))
      const set = `"${field}" = ${value}`
      await pipeline.query(`UPDATE events SET ${set}, sent_check = NULL WHERE event_id = '${idOf(2)}'`)
      const { ok, stored, different, acked_stored, acked_different } = await check(full(1), full(2))
      assert.deepEqual({ ok, stored, why: why(different) }, { ok: false, stored: 1, why: [field] })
      const isSent = !Object.hasOwn(CLIENT, field)
      assert.deepEqual(
        { acked_stored, why: why(acked_different) },
        isSent ? { acked_stored: 1, why: [field] } : { acked_stored: 2, why: [] },
      )
    })
  }
}

test('I2: with the check of what was sent, the same change is only counted as changed, whatever the texts are', async () => {
  const events = [full(1), record(2), full(3, { user_id: undefined }), full(4, { user_agent: undefined })]
  await store(...events)
  await pipeline.query(`UPDATE events SET event_name = 'other', ip_address = NULL, user_agent = NULL`)
  const { ok, changed, different } = await check(...events)
  assert.deepEqual({ ok, changed, different }, { ok: true, changed: 4, different: [] })
})

test('I2: a field that is null, or not there, is NULL, and the same in any order and notation', async () => {
  const names = ['user_id', ...Object.keys(TEXTS), ...Object.keys(CLIENT)]
  const lacking = names.flatMap((name) => [{ [name]: null }, { [name]: undefined }])
  const without = lacking.filter((change) => !Object.hasOwn(change, 'anonymous_id')).map((c, n) => full(n, c))
  const named = [
    full(101, { anonymous_id: null }),
    record(102, Object.fromEntries(names.slice(1).map((name) => [name, null]))),
    full(103, { user_id: '42' }),
    full(104).replace('é', '\\u00e9').replace('/', '\\/'),
    reversed(full(105)),
    full(106, { note: 'ignored' }).replace('"ignored"', '"\\u0000 \\ud800"'),
    full(108, { event_name: undefined, 'event_n!ame': 'x' }).replace('!', '\\u0000'),
    full(109, { source: undefined, 'sour!ce': 'x' }).replace('!', '\\ud800'),
    full(107, { received_at: undefined, ip_address: undefined }),
    full(110, { source: undefined, key_label: 'shop' }),
    full(111, { source: null, key_label: 'shop', ip_address: undefined }),
    full(112, { key_label: 'shop' }),
    full(113, { key_label: null }),
    reversed(full(114, { source: undefined, key_label: 'a.b-c' })),
    reversed(full(115, { source: null, key_label: null })),
  ]
  await store(...without, ...named)
  const { ok, records, stored, acked_stored } = await check(...without, ...named)
  const all = without.length + named.length
  assert.deepEqual([ok, records, stored, acked_stored], [true, all, all, all])
})

test('I2: the event again from another address is a duplicate; the row must have the address of the record that made it', async () => {
  const again = {
    received_at: '2026-01-02T03:04:07.000000Z',
    ip_address: '203.0.113.7',
    user_agent: 'curl/8',
  }
  await store(full(1), full(1, again), full(1, { ...again, ip_address: undefined, user_agent: undefined }))
  const { ok, stored, duplicates } = await check(full(1))
  assert.deepEqual({ ok, stored, duplicates }, { ok: true, stored: 1, duplicates: 2 })
  await pipeline.query(`UPDATE events SET ip_address = '203.0.113.7', sent_check = NULL`)
  assert.deepEqual(why((await check()).different), ['ip_address'])
})

test('I2: the event again with another key, or without one, is a duplicate; the row must have the label of the record that made it', async () => {
  const again = { received_at: '2026-01-02T03:04:07.000000Z' }
  const plain = { source: undefined }
  await store(
    full(1, { ...plain, key_label: 'shop' }),
    full(1, { ...plain, ...again, key_label: 'app' }),
    full(1, { ...plain, ...again }),
    reversed(full(1, { ...plain, ...again, key_label: 'a b' })),
    reversed(full(1, { ...plain, ...again })),
    full(2, plain),
    full(2, { ...plain, ...again, key_label: 'app' }),
    reversed(full(2, { ...plain, ...again, key_label: 'shop' })),
  )
  const { ok, stored, duplicates, changed } = await check(full(1, plain), full(2, plain))
  assert.deepEqual({ ok, stored, duplicates, changed }, { ok: true, stored: 2, duplicates: 6, changed: 0 })
  const lost = await check(full(1, { ...plain, session_id: 'another' }))
  assert.deepEqual([lost.ok, why(lost.acked_different)], [false, ['session_id']])
  await pipeline.query(`UPDATE events SET source = 'other' WHERE event_id = '${idOf(2)}'`)
  assert.deepEqual([(await check()).ok, (await check()).changed], [true, 1])
  await pipeline.query(`UPDATE events SET source = 'other', sent_check = NULL WHERE event_id = '${idOf(1)}'`)
  assert.deepEqual(new Set(why((await check()).different)), new Set(['source']))
})

test('I2: an acknowledged event is not accounted for by a dead letter with another event_name', async () => {
  await store(full(1))
  await bench.send(full(1, { event_name: 'other' }), full(1, { user_id: undefined }))
  await bench.letters(2)
  const wanted = [full(1), full(1, { event_name: 'other' }), full(1, { user_id: null })]
  const { ok, dead, acked_stored, acked_dead } = await check(...wanted)
  assert.deepEqual([ok, dead, acked_stored, acked_dead], [true, 2, 1, 2])
  const other = await check(full(1, { session_id: 'another' }))
  assert.deepEqual([other.ok, why(other.acked_different)], [false, ['session_id']])
})

test('I2: the label that the API gives an event without a source is no difference; any other source is one', async () => {
  const without = full(1, { source: undefined })
  await store(
    full(1, { source: undefined, key_label: 'web-shop.2' }),
    full(2, { key_label: 'other' }),
    full(3, { source: 'a b' }),
  )
  const { ok, stored, acked_stored, acked_different } = await check(
    without,
    full(2, { source: 'other' }),
    full(3, { source: null }),
  )
  assert.deepEqual({ ok, stored, acked_stored }, { ok: false, stored: 3, acked_stored: 1 })
  assert.deepEqual(why(acked_different), ['source', 'source'])
})

test('I2: an acknowledged event is accounted for by a dead letter to which the API gave a source', async () => {
  await store(full(1))
  await bench.send(full(1, { source: undefined, key_label: 'web-shop', event_name: 'other' }))
  await bench.letters(1)
  const { acked_dead, acked_different_count } = await check(
    full(1, { source: undefined, event_name: 'other' }),
  )
  assert.deepEqual({ acked_dead, acked_different_count }, { acked_dead: 1, acked_different_count: 0 })
  const other = await check(full(1, { source: 'web-shop', event_name: 'other' }))
  assert.deepEqual([other.acked_dead, why(other.acked_different)], [0, ['event_name, source']])
})

test('I2: the letter of an anonymous event is replayed with all its fields, and is the same event afterwards', async () => {
  const visit = (n: number, change: Record<string, unknown> = {}): string =>
    full(n, { user_id: undefined, ...change })
  await bench.deadLetter(1, 2, visit)
  const { code, out } = await bench.dlq('replay', '--yes')
  assert.deepEqual([code, await bench.states()], [0, { total: 2, open: 0, replayed: 2, discarded: 0 }], out)
  const columns = Object.keys({ user_id: 0, ...TEXTS, ...CLIENT }).join(', ')
  const rows = await pipeline.query(`SELECT ${columns} FROM events`)
  const row = { user_id: null, ...TEXTS, ...CLIENT }
  assert.deepEqual(rows, [row, row])
  await bench.send(visit(1), visit(2, { event_name: 'other' }))
  await bench.letters(3)
  const open = await pipeline.query(`SELECT reason, event_id FROM dead_letters WHERE state = 'open'`)
  assert.deepEqual(open, [{ reason: 'event_id_conflict', event_id: idOf(2) }])
  assert.equal((await check()).ok, true)
})

test('a table from before a migration: verify names the columns and migrate, which cures it', async () => {
  await pipeline.query(
    `ALTER TABLE events DROP COLUMN source, DROP COLUMN ip_address; DELETE FROM firehose_migrations WHERE name LIKE '006%'`,
  )
  await assert.rejects(pipeline.verify(), {
    message: 'The table "events" lacks ip_address, source: run "npx firehose migrate" first.',
  })
  await pipeline.query(
    'ALTER TABLE events DROP COLUMN anonymous_id, DROP COLUMN event_name, DROP COLUMN event_type, DROP COLUMN session_id, DROP COLUMN user_agent',
  )
  assert.equal((await runFirehose(pipeline.env, 'migrate')).code, 0)
  await store(full(1))
  assert.equal((await check(full(1))).ok, true)
})

test('I2: texts are compared by their bytes, whatever collations the columns have', async (t) => {
  const texts = [...Object.keys(TEXTS), 'user_agent']
  const collate = async (collation: string): Promise<void> => {
    const changes = texts.map((name) => `ALTER COLUMN ${name} TYPE text COLLATE ${collation}`)
    await pipeline.query(`ALTER TABLE events ${changes.join(', ')}`)
  }
  await pipeline.query(
    `CREATE COLLATION any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false)`,
  )
  t.after(async () => {
    await collate('"C"')
    await pipeline.query('DROP COLLATION any_case')
  })
  await collate('any_case')
  const names = Object.fromEntries(texts.map((name) => [name, 'Name']))
  await store(full(1, names), full(2, names))
  assert.equal((await check(full(1, names))).ok, true)
  await pipeline.query(
    `UPDATE events SET event_name = 'NAME', user_agent = 'name', sent_check = NULL WHERE event_id = '${idOf(2)}'`,
  )
  const { different, acked_different } = await check(full(1, names), full(2, names))
  assert.deepEqual([why(different), why(acked_different)], [['event_name, user_agent'], ['event_name']])
  await bench.send(full(1, { ...names, source: 'NAME' }))
  await bench.letters(1)
})

test('I2: with user_id as text, a number of a record is its digits, however it was written', async () => {
  await pipeline.query('ALTER TABLE events ALTER COLUMN user_id TYPE text COLLATE "C"')
  const written = [
    '"u-\\"1\\" é😀"',
    '" 42"',
    '"042"',
    '42',
    '42.0',
    '4.2e1',
    '420e-1',
    '-0',
    '"9223372036854775808"',
  ]
  const records = written.map((text, n) => full(n, { user_id: 'X' }).replace('"X"', text))
  await store(...records, full(100, { user_id: null }), full(101, { user_id: undefined }))
  const rows = await pipeline.query<{ user_id: string }>('SELECT user_id FROM events ORDER BY event_id')
  const digits = ['u-"1" é😀', ' 42', '042', '42', '42', '42', '42', '0', '9223372036854775808', null, null]
  assert.deepEqual(
    rows.map(({ user_id }) => user_id),
    digits,
  )
  const all = await check(...records)
  assert.deepEqual([all.ok, all.stored, all.acked_stored], [true, 11, 9])
  await pipeline.query(`UPDATE events SET session_id = ''`)
  const { ok, changed, different_count } = await check()
  // A record in the canonical form, with either type of user_id, has the check; else the columns of the row decide.
  assert.deepEqual([ok, changed, different_count], [false, 6, 5])
  await pipeline.query(
    `UPDATE events SET session_id = repeat(chr(31), 255), user_id = user_id || '.0', sent_check = NULL`,
  )
  const found = await check(...records)
  assert.deepEqual(new Set(why(found.different)), new Set(['user_id']))
  assert.deepEqual([found.different_count, found.acked_different_count, found.stored], [9, 9, 2])
})
