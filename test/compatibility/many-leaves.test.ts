import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, before, test } from 'node:test'
import pg from 'pg'
import { replay } from '../../dead-letters/replay.ts'
import { decodeRecord } from '../../event/record/decode.ts'
import type { DecodedRow } from '../../event/record/decoded.ts'
import { Database } from '../../postgres/database.ts'
import { type Range, rangeAt, partitionName, UNIT_MS } from '../../postgres/partitions/ranges.ts'
import { type WritePath, writeBatch } from '../../sink-worker/store/write-batch.ts'
import { startPostgres } from '../../tools/stack/backends.ts'
import { addFinding, emptyVerdict } from '../../tools/verify/verdict.ts'
import { judgePending, lookUpAcked } from '../../tools/verify/verify-acked.ts'
import type { VerifyContext } from '../../tools/verify/verify-context.ts'
import { RecordComparison } from '../../tools/verify/verify-records.ts'
import { SESSION, TABLES } from '../../tools/verify/verify-sql.ts'
import { findEvent } from '../../tools/where/where.ts'
import { idAt } from '../support/ids.ts'
import { migrateWithLeaves } from '../support/leaves.ts'

/*
 * A table of 400 leaves: whatever looks up ids opens and locks only the leaves of these ids. Each transaction is looked at
 * from another connection when it is about to commit.
 */

const DAYS = 400
const { postgres, close } = await startPostgres()
const { url } = postgres
const dir = mkdtempSync(join(tmpdir(), 'firehose-leaves-'))
const observer = new pg.Client({ connectionString: url })
await observer.connect()
before(async () => {
  await migrateWithLeaves(observer, url, DAYS)
  await observer.query(
    `INSERT INTO sink_offsets (cluster_id, topic, partition, next_offset) VALUES ('c', 't', 0, 0)`,
  )
})
after(async () => {
  rmSync(dir, { recursive: true })
  await observer.end()
  await close()
})

const days: Range[] = [1, 300].map((ago) => rangeAt('day', Date.now() - ago * UNIT_MS.day))
/** Ids of two leaves, of a time that has no leaf yet, and of no time. */
const IDS = [
  ...days.map(({ fromMs }) => idAt(fromMs + UNIT_MS.hour)),
  idAt(Date.now() + 365 * UNIT_MS.day),
  'c0ffee00-0000-4000-8000-000000000000',
]
const LEAVES = [...days.map(partitionName), 'events_other', 'events_stray'].toSorted()

/** What the transactions of a session have locked when they were about to commit. */
let locked: Set<string>
/** The tables in the plans of its statements. */
let planned: Set<string>
afterEach(async () => {
  await observer.query('DELETE FROM events; TRUNCATE dead_letters, dead_letter_history')
})

interface Session {
  query(sql: string, values?: unknown[]): Promise<pg.QueryResult<Record<string, unknown>>>
}

/** Looks at the session before each COMMIT, and at the plan of each statement that reads `events`. */
function watch<S extends Session>(session: S): S {
  locked = new Set()
  planned = new Set()
  const query: Session['query'] = session.query.bind(session)
  const look = async (sql: string, values?: unknown[]) => {
    if (sql === 'COMMIT') for (const name of await leavesLockedBy(await pidOf(query))) locked.add(name)
    const isLookup = /^\s*(SELECT|INSERT INTO verify_)/.test(sql) && /FROM events WHERE/.test(sql)
    if (isLookup) for (const name of await leavesIn(query, sql, values)) planned.add(name)
    return await query(sql, values)
  }
  // COPY is a stream, not a text.
  session.query = (sql: unknown, values?: unknown[]) =>
    typeof sql === 'string' ? look(sql, values) : query(sql as string)
  return session
}

async function pidOf(query: Session['query']): Promise<unknown> {
  return (await query('SELECT pg_backend_pid() AS pid')).rows[0]?.pid
}

async function leavesLockedBy(pid: unknown): Promise<string[]> {
  const { rows } = await observer.query<{ name: string }>(
    `SELECT DISTINCT relid::regclass::text AS name FROM pg_partition_tree('events')
     JOIN pg_locks ON relation = relid AND locktype = 'relation' WHERE isleaf AND pid = $1`,
    [pid],
  )
  return rows.map(({ name }) => name)
}

async function leavesIn(query: Session['query'], sql: string, values?: unknown[]): Promise<string[]> {
  const plan = (await query(`EXPLAIN ${sql}`, values)).rows.map((row) => row['QUERY PLAN']).join('\n')
  return [...plan.matchAll(/ on (events_(?:\d+|stray|other))\b/g)].map(([, name = '']) => name)
}

function recordOf(id: string, n: number): { offset: bigint; value: Buffer } {
  const value = `{"event_id":"${id}","user_id":${n},"timestamp":"2026-01-02T03:04:05.000000Z","received_at":"2026-01-02T03:04:06.000000Z","metadata":{"n":${n}}}`
  return { offset: BigInt(n), value: Buffer.from(value) }
}

/** One for each id, with a number that makes its content. */
function rowsOf(first: number): DecodedRow[] {
  return IDS.map((id, n) => {
    const record = { partition: 0, timestampMs: 0, headers: {}, ...recordOf(id, first + n) }
    const decoded = decodeRecord(record, { clusterId: 'c', topic: 't' }, 'bigint')
    assert.ok(decoded.ok)
    return { record, row: decoded.row }
  })
}

async function withDatabase<T>(work: (db: Database) => Promise<T>): Promise<T> {
  const db = new Database({ connectionString: url }, 30_000)
  await db.open()
  try {
    return await work(watch(db))
  } finally {
    await db.close()
  }
}

async function write(db: Database, rows: readonly DecodedRow[], path: WritePath) {
  const [{ next_offset } = { next_offset: '0' }] = (
    await observer.query('SELECT next_offset FROM sink_offsets')
  ).rows
  const next = BigInt(next_offset)
  const slice = {
    partition: 0,
    from: next,
    to: next + 100n,
    lastOffset: next + 99n,
    lastDigest: Buffer.alloc(32),
  }
  const request = { slices: [slice], rows, dead: [], userIdType: 'bigint' as const }
  return await writeBatch(db, { clusterId: 'c', topic: 't' }, request, path, () => false)
}

test('the fence alone locks no leaf', async () => {
  await withDatabase(async (db) => await write(db, [], 'copy'))
  assert.deepEqual(locked, new Set())
})

for (const path of ['copy', 'staged', 'split'] as const) {
  test(`I3: ${path} locks only the leaves that its rows go to`, async () => {
    const { stored } = await withDatabase(async (db) => await write(db, rowsOf(0), path))
    assert.equal(stored, IDS.length)
    assert.deepEqual([...locked].toSorted(), LEAVES)
  })
}

for (const path of ['staged', 'split'] as const) {
  test(`I2: ${path} compares what is stored already in the leaves of its ids alone`, async () => {
    const result = await withDatabase(async (db) => {
      await write(db, rowsOf(0), 'copy')
      return await write(db, [...rowsOf(0), ...rowsOf(50)], path)
    })
    const { stored, duplicates, dead } = result
    assert.deepEqual({ stored, duplicates, dead }, { stored: 0, duplicates: IDS.length, dead: IDS.length })
    assert.deepEqual([...locked].toSorted(), LEAVES)
    assert.deepEqual([...planned].toSorted(), LEAVES)
  })
}

test('dlq replay opens only the leaves of its letters', async () => {
  for (const { record } of rowsOf(0)) {
    await observer.query(
      `INSERT INTO dead_letters (cluster_id, topic, partition, "offset", value, timestamp_ms, reason, message)
       VALUES ('c', 't', 0, $1, $2, 0, 'constraint', 'x')`,
      [record.offset, record.value],
    )
  }
  await withDatabase(async (db) => {
    await write(db, rowsOf(0).slice(1), 'copy')
    locked.clear()
    await replay(db, {
      selection: { topic: 't', states: ['open'] },
      state: 'open',
      limit: 100,
      newId: false,
      signal: new AbortController().signal,
      largeValues: { fetch: () => Promise.reject(new Error('none is large')) },
      onPage: ({ letters }) => assert.equal(letters.length, IDS.length),
    })
  })
  const { rows } = await observer.query('SELECT outcome FROM dead_letter_history ORDER BY "offset"')
  assert.deepEqual(
    rows.map(({ outcome }) => outcome),
    ['stored', ...IDS.slice(1).map(() => 'already_stored')],
  )
  assert.deepEqual([...locked].toSorted(), LEAVES)
})

test('where opens only the leaf of the id', async () => {
  await withDatabase(async (db) => {
    await write(db, rowsOf(0), 'copy')
    for (const [n, id] of IDS.entries()) {
      locked.clear()
      planned.clear()
      const { row } = await findEvent(db, {
        eventId: id,
        topic: 't',
        withMetadata: true,
        kafka: { brokers: [] } as never,
      })
      assert.equal(row?.user_id, String(n))
      const [leaf] = [...locked]
      assert.equal(locked.size, 1, id)
      assert.deepEqual([...planned], [leaf])
      assert.ok(LEAVES.includes(leaf ?? ''))
    }
  })
})

/** A comparison in a session that is looked at. */
async function withVerify(work: (context: VerifyContext) => Promise<void>): Promise<VerifyContext> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    await client.query(SESSION)
    await client.query(TABLES)
    const verdict = emptyVerdict()
    const context: VerifyContext = {
      client: watch(client as Session & pg.Client),
      clusterId: 'c',
      topic: 't',
      table: { userIdType: 'bigint', hasUniqueId: true },
      limits: { items: 100, bytes: 1_000_000 },
      retention: { eventDays: null, letterDays: null, now: null },
      verdict,
      notYetRead: new Map(),
      pending: 0,
      isIncomplete: false,
      hasExpired: false,
      add: (kind, finding) => addFinding(verdict, kind, finding),
      report: () => {},
    }
    await work(context)
    return context
  } finally {
    await client.end()
  }
}

test('verify opens only the leaves of the records, and those that maintenance could move rows to', async () => {
  await withDatabase(async (db) => await write(db, rowsOf(0), 'copy'))
  const compare = async (records: readonly DecodedRow[]) => {
    const { verdict } = await withVerify(async (context) => {
      const comparison = new RecordComparison(context, new Map([[0, 1_000n]]))
      await comparison.take(records.map(({ record }) => record))
      await comparison.end()
    })
    assert.deepEqual([...planned].toSorted(), [...locked].toSorted())
    return verdict
  }
  const found = await compare(rowsOf(0))
  assert.equal(found.stored, IDS.length)
  assert.deepEqual([...locked].toSorted(), LEAVES)

  await observer.query('DELETE FROM events WHERE event_id = $1', [IDS[0]])
  const lost = await compare(rowsOf(0).slice(0, 1))
  assert.equal(lost.missing_count, 1)
  assert.deepEqual([...locked].toSorted(), [
    LEAVES.find((leaf) => leaf === partitionName(days[0]!)),
    'events_stray',
  ])
})

test('verify opens only the leaves of the acknowledged events', async () => {
  await withDatabase(async (db) => await write(db, rowsOf(0).slice(1), 'copy'))
  const file = join(dir, 'acked.tsv')
  const lines = rowsOf(0).map(({ row, record }) => `${row.eventId}\t${record.value?.toString()}\n`)
  writeFileSync(file, lines.join(''))
  const { verdict } = await withVerify(async (context) => {
    await lookUpAcked(context, file, undefined)
    await judgePending(context)
  })
  assert.deepEqual([verdict.acked_stored, verdict.acked_missing_count], [IDS.length - 1, 1])
  assert.deepEqual([...locked].toSorted(), LEAVES)
  assert.deepEqual([...planned].toSorted(), LEAVES)
})
