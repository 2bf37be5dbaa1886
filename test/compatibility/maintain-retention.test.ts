import assert from 'node:assert/strict'
import { pipeline } from 'node:stream/promises'
import { after, before, test } from 'node:test'
import { from as copyFrom } from 'pg-copy-streams'
import { connect } from '../../postgres/connect.ts'
import { startPostgres } from '../../tools/stack/backends.ts'
import { BEFORE_ERA, CUTOFF, DAY_MS, NO_LEAF, NOW, Retained, TODAY } from '../support/retained.ts'
import { idSql } from '../support/ids.ts'
import { textsOf } from '../support/maintained.ts'
import { until } from '../support/until.ts'

/* What retention deletes and what it keeps, to the row. Times: test/support/retention.ts. */

let server: Awaited<ReturnType<typeof startPostgres>>

before(async () => {
  server = await startPostgres()
})
after(async () => {
  await server?.close()
})

const make = async (...args: [name: string, partitioning?: 'none']): Promise<Retained> =>
  await Retained.make(server.postgres.url, ...args)

/** Rows by user: those below 10 are to go. */
const KINDS = [
  { user: 1, idMs: TODAY + 1, receivedMs: TODAY + 2, count: 2_000 },
  { user: 2, idMs: TODAY + 1, receivedMs: CUTOFF - 1 },
  { user: 3, idMs: NO_LEAF, receivedMs: CUTOFF - 1, count: 50 },
  { user: 4, idMs: BEFORE_ERA, receivedMs: CUTOFF - 1, count: 50 },
  { user: 5, idMs: TODAY - 1, receivedMs: TODAY },
  { user: 11, idMs: TODAY + 1, receivedMs: CUTOFF, count: 3 },
  { user: 12, idMs: TODAY - 1, receivedMs: NOW, count: 4 },
  { user: 13, idMs: NO_LEAF, receivedMs: CUTOFF, count: 5 },
  { user: 14, idMs: BEFORE_ERA, receivedMs: CUTOFF, count: 6 },
  { user: 15, idMs: TODAY + DAY_MS, receivedMs: TODAY, count: 7 }, // its leaf is not over yet at the cutoff
]
const KEPT = { 11: 3, 12: 4, 13: 5, 14: 6, 15: 7 }

test('I11: what is younger than the retention stays, to the row, late arrivals included; the rest goes', async () => {
  const database = await make('exact')
  await database.addRows(...KINDS)
  const all = await database.users()
  const leaves = await database.oldLeaves()
  assert.equal(leaves.length, 2)

  const planned = textsOf(await database.retain({ dryRun: true }))
  assert.deepEqual(await database.users(), all)
  const done = await database.retain()
  assert.deepEqual(await database.users(), KEPT)
  assert.deepEqual(await database.oldLeaves(), [])
  assert.deepEqual(await database.users('events_stray'), { 11: 3, 12: 4, 13: 5 })
  assert.deepEqual(await database.users('events_other'), { 14: 6 })
  const texts = textsOf(done)
  const [yesterday, today] = leaves
  assert.match(
    texts.join('\n'),
    new RegExp(`^${yesterday} was dropped \\(\\d+ kB(, about [\\d,]+ rows?)?\\)\\.
4 late rows of ${yesterday} were moved to events_stray\\.
${today} was dropped \\(\\d+ kB(, about [\\d,]+ rows?)?\\)\\.
3 late rows of ${today} were moved to events_stray\\.
50 rows of events_stray were deleted: received before ....-..-.. 12:00 UTC\\.
50 rows of events_other were deleted: received before ....-..-.. 12:00 UTC\\.$`),
  )
  assert.deepEqual(
    planned,
    texts.map((text) => text.replace(/\b(was|were) (?=dropped|moved|deleted)/, 'would be ')),
  )
  assert.deepEqual(await database.retain(), [])
  assert.deepEqual(await database.users(), KEPT)
})

test('a leaf with more than 10,000 late rows stays, with its rows, and is dropped when there are fewer', async () => {
  const database = await make('many_late')
  await database.addRows(
    { user: 1, idMs: TODAY, receivedMs: TODAY, count: 10 },
    { user: 11, idMs: TODAY, receivedMs: CUTOFF, count: 10_001 },
  )
  const [yesterday, today] = await database.oldLeaves()
  const problem = `${today} was not dropped: more than 10,000 of its rows arrived late and are to be kept. It is dropped once they are old enough.`
  assert.deepEqual(textsOf(await database.retain({ dryRun: true }), 'problem'), [
    problem.replace('was', 'would').replace('not dropped', 'not be dropped'),
  ])
  assert.deepEqual(textsOf(await database.retain(), 'problem'), [problem])
  assert.deepEqual(await database.oldLeaves(), [today])
  assert.notEqual(yesterday, today)
  assert.deepEqual(await database.users(), { 1: 10, 11: 10_001 })
  await database.query(
    `DELETE FROM events WHERE event_id = (SELECT event_id FROM events WHERE user_id = 11 LIMIT 1)`,
  )
  assert.deepEqual(textsOf(await database.retain(), 'problem'), [])
  assert.deepEqual(await database.users(), { 11: 10_000 })
  assert.deepEqual(await database.oldLeaves(), [])
})

test('I11: late rows that are copied into a leaf while it is dropped are all stored, and no COPY waits for a second', async () => {
  const database = await make('writer')
  await database.addRows({ user: 1, idMs: TODAY, receivedMs: TODAY, count: 1_000 })
  const writer = await startWriter(database.url)
  await until('late rows are written', () => writer.copied > 500)
  const [, today = ''] = await database.oldLeaves()
  assert.deepEqual(textsOf(await database.retain(), 'problem'), [])
  const until500more = writer.copied + 500
  await until('more are written', () => writer.copied > until500more)
  const { copied, longestMs } = await writer.stop()
  assert.deepEqual(await database.users(), { 11: copied })
  assert.deepEqual(await database.oldLeaves(), [], today)
  assert.ok(longestMs < 1_000, `a COPY took ${longestMs} ms`)
})

/** Rows in a transaction of the writer: so few that the leaf does not get more than are kept when it is dropped. */
const ROWS = 5

/** Copies late rows into `events`, and counts those that were committed. */
async function startWriter(url: string) {
  const client = await connect(url)
  const state = { copied: 0, longestMs: 0, ended: false }
  const [{ id }] = (await client.query<{ id: string }>(`SELECT ${idSql(TODAY + 5)}::text AS id`)).rows as [
    { id: string },
  ]
  const work = (async () => {
    for (let n = 0; !state.ended; n++) {
      const began = performance.now()
      const lines = Array.from({ length: ROWS }, (_, row) => {
        const tail = (n * ROWS + row).toString(16).padStart(12, '0')
        return `${id.slice(0, 24)}${tail}\t11\t2026-01-01\t{}\t${new Date(CUTOFF + row).toISOString()}\n`
      })
      const columns = 'event_id, user_id, "timestamp", metadata, received_at'
      await pipeline([lines.join('')], client.query(copyFrom(`COPY events (${columns}) FROM STDIN`)))
      state.copied += ROWS
      state.longestMs = Math.max(state.longestMs, performance.now() - began)
    }
  })()
  return {
    get copied() {
      return state.copied
    },
    stop: async () => {
      state.ended = true
      await work
      await client.end()
      return state
    },
  }
}

test('what depends on a leaf keeps it, and is named; without it, the leaf is dropped', async () => {
  const database = await make('dependent')
  await database.addRows(
    { user: 1, idMs: TODAY, receivedMs: TODAY },
    { user: 11, idMs: TODAY, receivedMs: NOW },
  )
  const [yesterday = '', today = ''] = await database.oldLeaves()
  await database.query('CREATE TABLE notes (id uuid CONSTRAINT to_event REFERENCES events)')
  assert.deepEqual(
    textsOf(await database.retain(), 'problem'),
    [yesterday, today].map(
      (leaf) => `${leaf} was not dropped: constraint to_event on table notes depends on table ${leaf}.`,
    ),
  )
  await database.query('DROP TABLE notes')
  await database.addRows({ user: 2, idMs: BEFORE_ERA, receivedMs: TODAY })
  await database.query(`CREATE VIEW old_day AS SELECT * FROM ${yesterday}`)
  await database.query(`CREATE TABLE notes (id uuid CONSTRAINT to_event REFERENCES ${today})`)
  assert.deepEqual(textsOf(await database.retain()), [
    `${yesterday} was not dropped: view old_day depends on table ${yesterday}.`,
    `${today} was not dropped: constraint to_event on table notes depends on table ${today}.`,
    `1 row of events_other was deleted: received before ${new Date(CUTOFF).toISOString().slice(0, 10)} 12:00 UTC.`,
  ])
  assert.deepEqual(await database.users(), { 1: 1, 11: 1 })
  await database.query('DROP VIEW old_day; DROP TABLE notes')
  assert.deepEqual(textsOf(await database.retain(), 'problem'), [])
  assert.deepEqual(await database.users(), { 11: 1 })
})

test("a foreign key on a row that is old keeps the row's neighbours of its table, and is named", async () => {
  const database = await make('referenced')
  await database.addRows({ user: 1, idMs: BEFORE_ERA, receivedMs: TODAY, count: 2 })
  await database.query(
    `CREATE TABLE notes (id uuid CONSTRAINT to_event REFERENCES events_other);
     INSERT INTO notes SELECT event_id FROM events LIMIT 1`,
  )
  assert.deepEqual(textsOf(await database.retain(), 'problem'), [
    'Old rows of events_other stay: update or delete on table "events_other" violates foreign key constraint "to_event" on table "notes" (23503).',
  ])
  await database.query('DROP TABLE notes')
  await database.retain()
  assert.deepEqual(await database.users(), {})
})

test("the user's triggers do not see late rows move, nor a leaf go; they see rows that are deleted", async () => {
  const database = await make('triggers')
  await database.query(
    `CREATE TABLE seen (what text);
     CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
       INSERT INTO seen VALUES (TG_OP || ' ' || coalesce(NEW.user_id, OLD.user_id)); RETURN coalesce(NEW, OLD); END $$`,
  )
  await database.addRows(...KINDS.map((kind) => ({ ...kind, count: 1 })))
  await database.query(
    `CREATE TRIGGER b BEFORE INSERT OR DELETE ON events FOR EACH ROW EXECUTE FUNCTION note();
     CREATE TRIGGER a AFTER INSERT OR DELETE ON events FOR EACH ROW EXECUTE FUNCTION note()`,
  )
  await database.retain()
  assert.deepEqual(await database.query('SELECT DISTINCT what FROM seen ORDER BY what'), [
    { what: 'DELETE 3' },
    { what: 'DELETE 4' },
  ])
  await database.addRows({ user: 20, idMs: NO_LEAF, receivedMs: NOW })
  assert.equal((await database.query(`SELECT FROM seen WHERE what = 'INSERT 20'`)).length, 2)
})

test('a table without partitions loses its old rows, and not more pages are read by the next run than by the first', async () => {
  const database = await make('one_table', 'none')
  await database.addRows(
    { user: 1, idMs: TODAY, receivedMs: TODAY, count: 20_000 },
    { user: 11, idMs: TODAY, receivedMs: CUTOFF, count: 20_000 },
  )
  await database.query('DROP INDEX events_received_at_idx')
  const [problem = ''] = textsOf(await database.retain(), 'problem')
  assert.match(problem, /^Old rows of events stay: it has no valid BRIN on received_at/)
  assert.deepEqual(await database.users(), { 1: 20_000, 11: 20_000 })
  await database.query(/CREATE INDEX[^;]+/.exec(problem)?.[0] ?? '')
  assert.match(textsOf(await database.retain()).join(), /^20,000 rows of events were deleted/)
  assert.deepEqual(await database.users(), { 11: 20_000 })
  assert.deepEqual(await database.retain(), [])
  assert.equal(await pagesOfOldRows(database), 0)
})

/** How many pages of `events` the BRIN still names for old rows. */
async function pagesOfOldRows(database: Retained): Promise<number> {
  const client = await connect(database.url)
  try {
    await client.query('BEGIN; SET LOCAL enable_seqscan = off')
    const { rows } = await client.query<{ 'QUERY PLAN': string }>(
      `EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) SELECT FROM events WHERE received_at < '${new Date(CUTOFF).toISOString()}'`,
    )
    const plan = rows.map((row) => row['QUERY PLAN']).join('\n')
    assert.match(plan, /Bitmap Index Scan on events_received_at_idx/)
    return Number(/Heap Blocks:.* lossy=(\d+)/.exec(plan)?.[1] ?? 0)
  } finally {
    await client.end()
  }
}

test('I11: killed at any statement, the next run goes on, and nothing that is younger is lost', async () => {
  const database = await make('killed')
  await database.query(
    `CREATE FUNCTION ok() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN coalesce(NEW, OLD); END $$;
     CREATE TRIGGER mine BEFORE INSERT OR DELETE ON events FOR EACH ROW EXECUTE FUNCTION ok()`,
  )
  await database.retain()
  let kills = 0
  for (const at of [STATEMENTS, COMMITS]) {
    for (let n = 1, isKilled = true; isKilled; n++) {
      await database.query('TRUNCATE events')
      await database.makeLeafOfToday()
      await database.addRows(...KINDS)
      isKilled = await retainKilled(database, n, at)
      const between = await database.users()
      for (const [user, count] of Object.entries(KEPT)) assert.equal(between[user], count, `${n}: ${user}`)
      assert.deepEqual(textsOf(await database.retain(), 'problem'), [], `${n}`)
      assert.deepEqual(await database.users(), KEPT, `${n}`)
      assert.deepEqual(await database.oldLeaves(), [])
      assert.equal((await database.query(`SELECT FROM pg_trigger WHERE tgenabled <> 'O'`)).length, 0)
      if (isKilled) kills++
    }
  }
  assert.ok(kills > 40, `${kills} kills`)
})

/** When a run is killed: before a statement is sent; or as soon as one that may commit is sent, with an unknown outcome. */
const STATEMENTS = { counts: () => true, isSent: false }
const COMMITS = { counts: (sql: unknown) => String(sql).includes('COMMIT'), isSent: true }

/** Runs retention, and breaks its connection at the nth statement. @returns whether it came to that one */
async function retainKilled(
  database: Retained,
  nth: number,
  { counts, isSent }: typeof STATEMENTS | typeof COMMITS,
): Promise<boolean> {
  let left = nth
  const run = database.retain({
    prepare: (client) => {
      const { stream } = (client as unknown as { connection: { stream: { destroy(): void } } }).connection
      const query = client.query.bind(client) as (...args: unknown[]) => unknown
      Object.assign(client, {
        query: (...args: unknown[]) => {
          const isLast = counts(args[0]) && --left === 0
          if (isLast && !isSent) stream.destroy()
          const answer = query(...args)
          if (isLast && isSent) setImmediate(() => stream.destroy())
          return answer
        },
      })
    },
  })
  return await run.then(
    () => false,
    () => true,
  )
}

test('dead letters go by the latest entry of their history, which stays; open ones, and younger ones, stay', async () => {
  const database = await make('letters')
  const day = (ms: number): string => `to_timestamp(${ms} / 1000.0)`
  const cutoff = NOW - 7 * DAY_MS
  const letters: [state: string, ...at: number[]][] = [
    ['open', cutoff - DAY_MS], // a refused replay
    ['open'],
    ['discarded', cutoff - 1],
    ['discarded', cutoff - DAY_MS, cutoff], // refused again later
    ['replayed', cutoff - DAY_MS, cutoff - 1],
    ['replayed', cutoff],
    ['discarded'], // by hand
  ]
  for (const [offset, [state, ...times]] of letters.entries()) {
    await database.query(
      `INSERT INTO dead_letters (cluster_id, topic, partition, "offset", reason, message, state, created_at)
       VALUES ('c', 't', 0, ${offset}, 'undecodable', '', '${state}', ${day(TODAY)})`,
    )
    for (const at of times) {
      await database.query(
        `INSERT INTO dead_letter_history (cluster_id, topic, partition, "offset", at, action, outcome)
         VALUES ('c', 't', 0, ${offset}, ${day(at)}, 'discard', 'discarded')`,
      )
    }
  }
  const left = async (): Promise<number[]> =>
    (await database.query<{ offset: string }>('SELECT "offset" FROM dead_letters ORDER BY "offset"')).map(
      ({ offset }) => Number(offset),
    )
  const [planned] = textsOf(await database.retain({ deadLetterDays: 7, dryRun: true }), 'letters')
  assert.match(
    planned ?? '',
    /^2 dead letters would be deleted: replayed or discarded before ....-..-.. 12:00 UTC\.$/,
  )

  const locked = await connect(database.url)
  await locked.query('BEGIN; SELECT FROM dead_letters WHERE "offset" = 4 FOR UPDATE')
  const [said] = textsOf(await database.retain({ deadLetterDays: 7 }), 'letters')
  assert.match(said ?? '', /^1 dead letter was deleted/)
  assert.deepEqual(await left(), [0, 1, 3, 4, 5, 6])
  await locked.end()
  await database.retain({ deadLetterDays: 7 })
  assert.deepEqual(await left(), [0, 1, 3, 5, 6])
  assert.equal((await database.query('SELECT FROM dead_letter_history')).length, 7)
  assert.deepEqual(await database.retain({ deadLetterDays: 7 }), [])
})

test('while a session has one leaf locked, the others are dropped', async () => {
  const database = await make('one_held')
  const [yesterday = '', today = ''] = await database.oldLeaves()
  const reader = await connect(database.url)
  await reader.query(`BEGIN; SELECT FROM ${yesterday}`)
  const texts = textsOf(await database.retain({ attempts: 1 }))
  assert.match(texts.join('\n'), new RegExp(`^${yesterday} was not dropped: .*\n${today} was dropped`))
  await reader.end()
  assert.match(textsOf(await database.retain()).join(), new RegExp(`^${yesterday} was dropped`))
})

test('while others have leaves open, they stay, and that is said; rows elsewhere go all the same', async () => {
  const database = await make('held')
  await database.addRows(
    { user: 1, idMs: TODAY, receivedMs: TODAY },
    { user: 2, idMs: BEFORE_ERA, receivedMs: TODAY },
  )
  const [yesterday = '', today = ''] = await database.oldLeaves()
  const reader = await connect(database.url)
  await reader.query('BEGIN; SELECT FROM events WHERE user_id = 3')
  const who = 'other sessions, such as a long query, use it or events_era all the time'
  assert.deepEqual(
    textsOf(await database.retain({ attempts: 1 }), 'problem'),
    [yesterday, today].map(
      (leaf) => `${leaf} was not dropped: ${who}. When they have ended, run "npx firehose maintain" again.`,
    ),
  )
  assert.deepEqual(await database.users(), { 1: 1 })
  await reader.query(`COMMIT; BEGIN; LOCK TABLE ${today} IN SHARE UPDATE EXCLUSIVE MODE`)
  assert.deepEqual(textsOf(await database.retain(), 'problem'), [
    `${today} was not dropped: another session has it locked, perhaps a VACUUM; the next run tries again.`,
  ])
  assert.deepEqual(await database.oldLeaves(), [today])
  await reader.end()
  assert.deepEqual(textsOf(await database.retain(), 'problem'), [])
  assert.deepEqual(await database.users(), {})
})

test("rows are not moved while that would delete a user's rows that refer to them; the remedy helps", async () => {
  const database = await make('cascading')
  await database.store(15, 2)
  await database.query(
    `CREATE TABLE notes (id uuid CONSTRAINT "to" REFERENCES events ON DELETE CASCADE);
     INSERT INTO notes SELECT event_id FROM events`,
  )
  const [problem = ''] = textsOf((await database.maintain(1)).actions, 'problem')
  assert.match(problem, /^events_\d{8} was not made: .* a foreign key of notes acts when one is deleted/)
  assert.equal(await database.rowsOf('notes'), 2)
  await database.query(/ALTER TABLE[^;]+/.exec(problem)?.[0] ?? '')
  assert.match(textsOf((await database.maintain(1)).actions, 'made').join(), /with 2 rows from events_stray/)
  assert.equal(await database.rowsOf('notes'), 2)
})
