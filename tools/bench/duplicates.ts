import { decodeRecord } from '../../event/record/decode.ts'
import type { DecodedRow, TopicIdentity } from '../../event/record/decoded.ts'
import { receivedAt } from '../../event/record/encode.ts'
import { Database } from '../../postgres/database.ts'
import type { Range } from '../../postgres/partitions/ranges.ts'
import { createStaging, writeStaged } from '../../sink-worker/store/staging.ts'
import { eventOf, openRun } from '../load/events.ts'
import { recordOf } from './backlog.ts'
import type { Bench } from './bench.ts'
import type { EventsDatabase } from './events-database.ts'
import { type Measurement, measurementOf } from './measurement.ts'
import { inTurns, quartiles } from './pairs.ts'

const ROWS = 5_000
const SILENCE_MS = 60_000
const TOPIC: TopicIdentity = { clusterId: 'bench', topic: 'bench' }

/**
 * The staged path's transaction of a batch whose ids are all stored: in many leaves, and in one table. The ids are of one
 * day, as when a sink or a client repeats what it sent. Those of a batch with ids of all days are only reported.
 *
 * @throws if a row is not found to be a duplicate
 */
export async function benchDuplicates(
  { many, one }: { many: EventsDatabase; one: EventsDatabase },
  days: readonly Range[],
  { rounds, say }: Pick<Bench, 'rounds' | 'say'>,
): Promise<Measurement> {
  const databases = { many: await opened(many), one: await opened(one) }
  const measure = async (batch: readonly DecodedRow[]): Promise<Record<'many' | 'one', number[]>> => {
    for (const database of Object.values(databases)) await store(database, batch, 'COMMIT')
    const variants = {
      many: async () => await duplicate(databases.many, batch),
      one: async () => await duplicate(databases.one, batch),
    }
    await inTurns(2, variants, () => {})
    return await inTurns(4 * rounds, variants, () => {})
  }
  try {
    const ofOneDay = await measure(batchOf(days.slice(-1), 'one day'))
    const ofAllDays = await measure(batchOf(days, 'all days'))
    const inMs = (times: readonly number[]): string => `${quartiles(times).median.toFixed(0)} ms`
    const note = `with ids of all ${days.length} days, ${inMs(ofAllDays.many)}; in one table ${inMs(ofAllDays.one)}`
    say(`duplicates: ${inMs(ofOneDay.many)}, in one table ${inMs(ofOneDay.one)}; ${note}`)
    return measurementOf(
      {
        measurement: `${ROWS} duplicates of one day, ${days.length} leaves`,
        baseline: 'the same in one table',
        unit: 'ms per batch',
        must: 1.5,
        aim: 1.2,
        notes: [note],
      },
      ofOneDay.many,
      ofOneDay.one,
    )
  } finally {
    for (const database of Object.values(databases)) await database.close()
  }
}

/** @returns milliseconds */
async function duplicate(database: Database, batch: readonly DecodedRow[]): Promise<number> {
  const beganMs = performance.now()
  const duplicates = await store(database, batch, 'ROLLBACK')
  const ms = performance.now() - beganMs
  if (duplicates !== batch.length) throw new Error(`${duplicates} of ${batch.length} rows were duplicates`)
  return ms
}

/** @returns how many were stored already */
async function store(
  database: Database,
  batch: readonly DecodedRow[],
  end: 'COMMIT' | 'ROLLBACK',
): Promise<number> {
  await database.query('BEGIN')
  await createStaging(database, 'bigint')
  const { duplicates } = await writeStaged(database, batch, 'bigint')
  await database.query(end)
  return duplicates.length
}

/** The same number of events of each day. */
function batchOf(days: readonly Range[], seed: string): DecodedRow[] {
  const runs = days.map(({ fromMs }) => openRun({ seed, startedAtMs: fromMs }))
  const bodies = runs.flatMap((run) =>
    Array.from({ length: Math.ceil(ROWS / runs.length) }, (_, n) => eventOf(run, n).body),
  )
  return bodies.slice(0, ROWS).map(rowOf)
}

function rowOf(body: string, offset: number): DecodedRow {
  const value = recordOf(body, receivedAt(0))
  const record = { partition: 0, offset: BigInt(offset), timestampMs: 0, value, headers: {} }
  const decoded = decodeRecord(record, TOPIC, 'bigint')
  if (!decoded.ok) throw new Error(`not an event: ${body}`)
  return { record, row: decoded.row }
}

async function opened({ url }: EventsDatabase): Promise<Database> {
  const database = new Database({ connectionString: url }, SILENCE_MS)
  await database.open()
  return database
}
