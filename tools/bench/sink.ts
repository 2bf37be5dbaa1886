import type { Bench } from './bench.ts'
import { writeBacklog } from './backlog.ts'
import { backlogOf, drainByPsql, drainBySink, dumpTable, tableDigest } from './drain.ts'
import { inTurns, quartiles } from './pairs.ts'
import { type Measurement, measurementOf } from './measurement.ts'
import { startStack } from './stack.ts'

const PARTITIONS = 4
const BASELINE = 'psql \\copy (text) of the same rows into the same table'

/**
 * Drains a backlog of canonical records with the sink, with `psql \copy`, and with the sink without exactly-once.
 *
 * @throws if the table does not hold the expected rows
 */
export async function benchSink({ rounds, rows, say }: Bench): Promise<Measurement[]> {
  const stack = await startStack({ KAFKA_TOPIC_PARTITIONS: String(PARTITIONS) })
  const { pipeline } = stack
  try {
    const { records, warmUp } = backlogOf(rows)
    const file = pipeline.path('rows.copy')
    say(`sink: writing ${records} records into ${PARTITIONS} partitions`)
    await writeBacklog(pipeline, records)
    await drainBySink(stack, 'sink-worker/main.ts', { records, warmUp })
    await dumpTable(stack, file)
    const expected = await tableDigest(stack.pipeline)
    if (!expected.startsWith(`${records} rows`)) throw new Error(`${records} records became ${expected}`)

    const checked = async <T>(run: Promise<T>): Promise<T> => {
      const result = await run
      const found = await tableDigest(stack.pipeline)
      if (found !== expected) throw new Error(`the table holds ${found} instead of ${expected}`)
      return result
    }
    const bySink = (main: string) => async () => await checked(drainBySink(stack, main, { records, warmUp }))
    const variants = {
      baseline: async () => await checked(drainByPsql(stack, file, records)),
      ours: bySink('sink-worker/main.ts'),
      bare: bySink('tools/bench/servers/sink-without-fence.ts'),
    }
    const results = await inTurns(rounds, variants, (name, round, { cpuUs, ownUs, perSecond }) => {
      const cpu = `${cpuUs.toFixed(2)} us of CPU per row (${ownUs.toFixed(2)} of its own)`
      say(`sink ${round}/${rounds} ${name}: ${cpu}, ${Math.round(perSecond)} rows/s`)
    })

    const cpu = (name: keyof typeof variants): number[] => results[name].map(({ cpuUs }) => cpuUs)
    const rate = (name: keyof typeof variants): number[] => results[name].map(({ perSecond }) => perSecond)
    const own = quartiles(results.ours.map(({ ownUs }) => ownUs)).median
    const unit = 'us of CPU per row, process and PostgreSQL'
    return [
      measurementOf(
        {
          measurement: 'sink, draining a backlog',
          baseline: BASELINE,
          unit,
          must: 1.5,
          aim: 1.2,
          notes: [`${own.toFixed(1)} us of it in the sink's process`, `each run left ${expected}`],
        },
        cpu('ours'),
        cpu('baseline'),
      ),
      measurementOf(
        {
          measurement: 'sink, rows/s of that drain',
          baseline: BASELINE,
          unit: 'rows/s',
          must: 1,
          aim: 1.3,
          better: 'more',
          notes: [],
        },
        rate('ours'),
        rate('baseline'),
      ),
      measurementOf(
        {
          measurement: 'exactly-once',
          baseline: 'the same sink without offsets row and checks',
          unit,
          must: 1.05,
          aim: 1.02,
          notes: [],
        },
        cpu('ours'),
        cpu('bare'),
      ),
    ]
  } finally {
    await pipeline.close()
  }
}
