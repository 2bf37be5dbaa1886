import { writeBacklog } from './backlog.ts'
import type { Bench } from './bench.ts'
import { backlogOf, drainBySink, tableDigest } from './drain.ts'
import { inTurns, quartiles } from './pairs.ts'
import { startStack } from './stack.ts'

/** As shipped: a fetch brings at most 1 MiB of each. */
const PARTITIONS = 12
const KIB = 1_024
const FETCH_SIZES = [64, 256, 1_024, 4_096, 8_192, 16_384].map((kib) => kib * KIB)
/** FETCH_MIN_BYTES as shipped: it may not be more than FETCH_MAX_BYTES. */
const FETCH_MIN_BYTES = 256 * KIB

/** How fast a backlog drains with batches of one size. */
export interface Drain {
  /** FETCH_MAX_BYTES of the sink. */
  fetchMaxBytes: number
  /** By the sink's own metrics. */
  rowsATransaction: number
  rowsPerSecond: number
  /** CPU time of the sink and of PostgreSQL for each row, microseconds. */
  cpuUs: number
}

/**
 * The sink drains one backlog again and again, in fetches of several sizes. Medians of the rounds.
 *
 * @throws the table does not hold the rows that it must
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
      const found = await tableDigest(stack)
      expected ??= found
      if (found !== expected || !found.startsWith(`${records} rows`))
        throw new Error(`the table holds ${found}, not ${records} rows as in ${expected}`)
      return result
    }
    await drain(FETCH_MIN_BYTES)() // the first drain of a server is slower
    const variants = Object.fromEntries(FETCH_SIZES.map((bytes) => [String(bytes), drain(bytes)]))
    const results = await inTurns(rounds, variants, (bytes, round, { perSecond, rowsATransaction }) => {
      const size = `${Math.round(rowsATransaction)} rows a transaction`
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
