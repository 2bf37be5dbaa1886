import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { Bench } from './bench.ts'
import { MEASURED_CORE, pinService } from './machine.ts'
import { inTurns, quartiles } from './pairs.ts'
import { type Measurement, measurementOf } from './measurement.ts'
import { CLIENTS, saturate, spanOf } from './saturate.ts'
import { startStack, eventsInTopic } from './stack.ts'

/** Lines that the baseline parses per pass, and number of passes: about two seconds. */
const BASELINE_EVENTS = 20_000
const BASELINE_PASSES = 20

/**
 * Server CPU time per event of `POST /events` with 100 events per request as NDJSON.
 *
 * @throws if an event was not accepted, or the topic does not hold all accepted events
 */
export async function benchBatch({ rounds, seconds, say }: Bench): Promise<Measurement[]> {
  const { pipeline } = await startStack()
  try {
    const api = await pinService(pipeline.startApi(), MEASURED_CORE)
    const ours = async () =>
      await saturate(api.pid ?? 0, {
        url: api.url,
        ...CLIENTS.batch,
        ...spanOf(seconds),
        isBaseline: false,
      })
    const baseline = async () => ({ cpuUs: await parseBaseline(), perSecond: 0, accepted: 0 })
    const results = await inTurns(rounds, { baseline, ours }, (name, round, { cpuUs }) => {
      say(`batch ${round}/${rounds} ${name}: ${cpuUs.toFixed(2)} us of CPU per event`)
    })
    const accepted = results.ours.reduce((sum, each) => sum + each.accepted, 0)
    const stored = await eventsInTopic(pipeline)
    if (stored !== accepted) throw new Error(`the topic holds ${stored} events, ${accepted} were accepted`)
    const rate = quartiles(results.ours.map(({ perSecond }) => perSecond)).median
    return [
      measurementOf(
        {
          measurement: 'POST /events, 100 events of NDJSON',
          baseline: 'JSON.parse of the same lines',
          unit: 'us of CPU per event',
          must: 3,
          aim: 1.5,
          notes: [
            `ours ${Math.round(rate).toLocaleString('en')} events/s`,
            `${accepted} accepted = ${stored} in the topic`,
          ],
        },
        results.ours.map(({ cpuUs }) => cpuUs),
        results.baseline.map(({ cpuUs }) => cpuUs),
      ),
    ]
  } finally {
    await pipeline.close()
  }
}

async function parseBaseline(): Promise<number> {
  const program = fileURLToPath(new URL('./servers/baseline-parse.ts', import.meta.url))
  const args = [
    String(MEASURED_CORE),
    process.execPath,
    program,
    'bench',
    `${BASELINE_EVENTS}`,
    `${BASELINE_PASSES}`,
  ]
  const { stdout } = await promisify(execFile)('taskset', ['-c', ...args])
  return Number(stdout)
}
