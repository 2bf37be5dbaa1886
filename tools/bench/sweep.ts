import { writeBacklog } from './backlog.ts'
import type { Bench } from './bench.ts'
import { backlogOf, drainBySink, tableDigest } from './drain.ts'
import { inTurns, quartiles } from './pairs.ts'
import { startStack } from './stack.ts'

/** The default. A fetch returns at most 1 MiB of each. */
const PARTITIONS = 12
const KIB = 1_024
const FETCH_SIZES = [64, 256, 1_024, 4_096, 8_192, 16_384].map((kib) => kib * KIB)
/** The default of FETCH_MIN_BYTES, which must not exceed FETCH_MAX_BYTES. */
const FETCH_MIN_BYTES = 256 * KIB

/** The drain rate with one batch size. */
export interface Drain {
  /** FETCH_MAX_BYTES of the sink. */
  fetchMaxBytes: number
  /** From the sink's own metrics. */
  rowsATransaction: number
  rowsPerSecond: number
  /** CPU time of the sink and PostgreSQL per row, in microseconds. */
  cpuUs: number
}

/**
 * Drains the same backlog repeatedly with several fetch sizes. Medians over the rounds.
 *
 * @throws if the table does not hold the expected rows
 */
export async function benchSweep({ rounds, rows, say }: Bench): Promise<Drain[]> {
  const stack = await startStack({ KAFKA_TOPIC_PARTITIONS: String(PARTITIONS) })
  try {
    const { records, warmUp } = backlogOf(rows)
    say(`sweep: writing ${records} records into ${PARTITIONS} partitions`)
    await writeBacklog(stack.pipeline, records)
    let expected: string | undefined
    const drain = (bytes: number) => async () => {
      const env = {
        FETCH_MAX_BYTES: String(bytes),
        FETCH_MIN_BYTES: String(Math.min(bytes, FETCH_MIN_BYTES)),
      }
      const result = await drainBySink(stack, 'sink-worker/main.ts', { records, warmUp, env })
      const found = await tableDigest(stack.pipeline)
      expected ??= found
      if (found !== expected || !found.startsWith(`${records} rows`))
        throw new Error(`the table holds ${found} instead of ${records} rows as in ${expected}`)
      return result
    }
    await drain(FETCH_MIN_BYTES)() // the first drain of a server is slower
    const variants = Object.fromEntries(FETCH_SIZES.map((bytes) => [String(bytes), drain(bytes)]))
    const results = await inTurns(rounds, variants, (bytes, round, { perSecond, rowsATransaction }) => {
      const size = `${Math.round(rowsATransaction)} rows per transaction`
      say(`sweep ${round}/${rounds} ${Number(bytes) / KIB} KiB: ${size}, ${Math.round(perSecond)} rows/s`)
    })
    return FETCH_SIZES.map((fetchMaxBytes) => {
      const runs = results[String(fetchMaxBytes)] ?? []
      return {
        fetchMaxBytes,
        rowsATransaction: quartiles(runs.map(({ rowsATransaction }) => rowsATransaction)).median,
        rowsPerSecond: quartiles(runs.map(({ perSecond }) => perSecond)).median,
        cpuUs: quartiles(runs.map(({ cpuUs }) => cpuUs)).median,
      }
    })
  } finally {
    await stack.pipeline.close()
  }
}
