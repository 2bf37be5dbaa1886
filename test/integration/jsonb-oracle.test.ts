/**
 * Compares the reading of JSON, numbers and timestamps with PostgreSQL as the oracle. I4 depends on it: jsonb must accept
 * whatever the API accepts. Set FC_SEED to repeat a run.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import * as fc from 'fast-check'
import { Client } from 'pg'
import { type JsonbFaultKind, JsonScan } from '../../event/json/scan-result.ts'
import { skipByteOrderMark } from '../../event/json/utf8.ts'
import { MAX_DEPTH } from '../../event/limits.ts'
import { scanText } from '../../event/json/scan.ts'
import { canonicalTimestamp, toPostgresMicros } from '../../event/timestamp.ts'
import { type Backend, startPostgres } from '../../tools/stack/backends.ts'
import { spoiledBytes } from '../arbitrary/bytes.ts'
import {
  jsonText,
  longNumberText,
  nearly,
  numberText,
  objectText,
  stringText,
} from '../arbitrary/json-text.ts'
import { dateTimeText } from '../arbitrary/timestamp-text.ts'

const seed = Number(process.env['FC_SEED'] ?? 20_250_131)

/** '00000' if the bytes are UTF-8 and jsonb accepts them, otherwise the SQLSTATE. */
const TRY_JSONB = `
CREATE FUNCTION pg_temp.try_jsonb(bytes bytea) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  PERFORM convert_from(bytes, 'UTF8')::jsonb;
  RETURN '00000';
EXCEPTION WHEN OTHERS THEN
  RETURN SQLSTATE;
END $$`

/** timestamptz_send(): microseconds since 2000-01-01 in 8 bytes; NULL if PostgreSQL refuses the text. */
const TRY_TIMESTAMP = `
CREATE FUNCTION pg_temp.try_timestamp(t text) RETURNS bytea LANGUAGE plpgsql AS $$
BEGIN
  RETURN timestamptz_send(t::timestamptz);
EXCEPTION WHEN OTHERS THEN
  RETURN NULL;
END $$`

let backend: Omit<Backend, 'kafka'>
let client: Client

before(async () => {
  backend = await startPostgres()
  client = new Client({ connectionString: backend.postgres.url })
  await client.connect()
  await client.query(`SET TimeZone = 'UTC'; ${TRY_JSONB}; ${TRY_TIMESTAMP}`)
})

after(async () => {
  await client?.end()
  await backend?.close()
})

/** The SQLSTATE of each text, in order. */
async function askJsonb(texts: Buffer[]): Promise<string[]> {
  const sql =
    'SELECT pg_temp.try_jsonb(t) AS state FROM unnest($1::bytea[]) WITH ORDINALITY AS u(t, n) ORDER BY n'
  const { rows } = await client.query<{ state: string }>(sql, [texts])
  return rows.map((row) => row.state)
}

/** SQLSTATEs of refused JSON; 22P02 is used both for syntax errors and for surrogates. */
const STATE_OF_FAULT: Record<JsonbFaultKind, string> = {
  nul_escape: '22P05',
  lone_surrogate: '22P02',
  number_out_of_range: '22003',
  too_deep: '00000', // our own limit
}
const STATE_OF_ERROR = { not_utf8: '22021', not_json: '22P02' }

/**
 * Asserts that the scan and PostgreSQL agree on every text, and on the reason if there is only one. PostgreSQL does not
 * skip a byte order mark, so it gets the text after it.
 */
async function agree(texts: Buffer[]): Promise<Record<string, number>> {
  const scan = new JsonScan()
  const states = await askJsonb(texts.map((text) => text.subarray(skipByteOrderMark(text, 0, text.length))))
  const tally: Record<string, number> = {}
  for (const [i, text] of texts.entries()) {
    const isJson = scanText(text, 0, text.length, scan)
    const kinds = new Set(scan.faults.map((fault) => fault.kind))
    const where = `seed ${seed}, text ${i}: ${JSON.stringify(text.toString().slice(0, 300))} (${text.toString('base64').slice(0, 400)})`
    assert.equal(isJson && kinds.size === 0, states[i] === '00000', `${where}: PostgreSQL says ${states[i]}`)
    if (isJson && kinds.size === 1) {
      for (const kind of kinds) assert.equal(states[i], STATE_OF_FAULT[kind], `${where}: ${kind}`)
    }
    if (scan.error === 'not_utf8') assert.equal(states[i], STATE_OF_ERROR.not_utf8, where)
    const outcome = scan.error ?? [...kinds].join(' and ')
    tally[outcome] = (tally[outcome] ?? 0) + 1
  }
  return tally
}

function sample(arbitrary: fc.Arbitrary<string>, numRuns: number): Buffer[] {
  return fc.sample(arbitrary, { seed, numRuns }).map((text) => Buffer.from(text))
}

test('a JSON text is accepted exactly if jsonb accepts it', async () => {
  const tally = await agree(sample(jsonText, 6_000))
  // The test is meaningful only if each outcome is frequent.
  assert.ok((tally[''] ?? 0) > 1_000, JSON.stringify(tally))
  assert.ok((tally['not_json'] ?? 0) > 100, JSON.stringify(tally))
  assert.ok((tally['number_out_of_range'] ?? 0) > 100, JSON.stringify(tally))
  assert.ok((tally['lone_surrogate'] ?? 0) > 20, JSON.stringify(tally))
})

test('texts that are nearly JSON are accepted exactly if jsonb accepts them', async () => {
  await agree(sample(nearly(jsonText), 6_000))
  await agree(sample(nearly(objectText), 2_000))
  await agree(sample(nearly(stringText), 3_000))
  await agree(sample(nearly(numberText), 3_000))
})

test("numbers at the ends of numeric's range are accepted exactly if jsonb accepts them", async () => {
  await agree(sample(numberText, 6_000))
  await agree(sample(longNumberText, 100))
})

test('bytes that are not UTF-8 are refused, as PostgreSQL does', async () => {
  const tally = await agree(fc.sample(spoiledBytes(jsonText), { seed, numRuns: 4_000 }))
  assert.ok((tally['not_utf8'] ?? 0) > 1_000, JSON.stringify(tally))
})

test('jsonb accepts nesting up to the depth limit', async () => {
  const nested = Buffer.from(`${'[{"a":'.repeat(MAX_DEPTH / 2)}1${'}]'.repeat(MAX_DEPTH / 2)}`)
  assert.deepEqual(await agree([nested]), { '': 1 })
})

/**
 * The text as PostgreSQL can read it: a point before the fraction, without digits after the microseconds, which it would
 * round, and without annotations.
 */
const cut = (text: string): string =>
  text
    .replace(',', '.')
    .replace(/(\.\d{6})\d+/, '$1')
    .replace(/\[.*\]$/, '')

/** Whether there is a known reason why PostgreSQL refuses a timestamp that we accept: its UTC year is 0001 to 9999. */
function refusedByPostgres(text: string): boolean {
  return /23:59:60[.,]/.test(text)
}

/** Whether there is a known reason why we refuse a timestamp that PostgreSQL accepts. */
function refusedByContract(text: string, micros: bigint): boolean {
  const midnight = /[Tt ]24:/.test(text)
  const outOfYears = micros < -63_082_281_600_000_000n || micros >= 252_455_616_000_000_000n
  return midnight || outOfYears
}

test('a timestamp is read as timestamptz reads it', async () => {
  const texts = fc.sample(dateTimeText, { seed, numRuns: 10_000 })
  const sql =
    'SELECT pg_temp.try_timestamp(t) AS sent FROM unnest($1::text[]) WITH ORDINALITY AS u(t, n) ORDER BY n'
  const { rows } = await client.query<{ sent: Buffer | null }>(sql, [texts.map(cut)])
  let both = 0
  for (const [i, text] of texts.entries()) {
    const ours = canonicalTimestamp(text)
    const sent = rows[i]?.sent ?? null
    const where = `seed ${seed}: ${text} is ${ours} here, ${sent?.readBigInt64BE()} in PostgreSQL`
    if (ours !== undefined && sent !== null) {
      assert.equal(toPostgresMicros(ours), sent.readBigInt64BE(), where)
      both++
    } else if (ours !== undefined) assert.ok(refusedByPostgres(text), where)
    else if (sent !== null) assert.ok(refusedByContract(text, sent.readBigInt64BE()), where)
  }
  assert.ok(both > 3_000, `only ${both} texts were taken by both`)
})

test('PostgreSQL prints timestamps in the canonical form', async () => {
  const canonical = fc
    .sample(dateTimeText, { seed, numRuns: 5_000 })
    .map(canonicalTimestamp)
    .filter((text) => text !== undefined)
  const sql = `SELECT to_char(t::timestamptz, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS t
    FROM unnest($1::text[]) WITH ORDINALITY AS u(t, n) ORDER BY n`
  const { rows } = await client.query<{ t: string }>(sql, [canonical])
  assert.deepEqual(
    rows.map((row) => row.t),
    canonical,
  )
})
