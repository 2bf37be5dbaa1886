import type { NodeService } from '../../embedded/node-service.ts'
import type { Bench } from './bench.ts'
import { MEASURED_CORE, pinService } from './machine.ts'
import { inTurns, quartiles } from './pairs.ts'
import { type Measurement, measurementOf } from './measurement.ts'
import { CLIENTS, type Saturated, saturate, spanOf } from './saturate.ts'
import { startStack, eventsInTopic } from './stack.ts'

const BASELINE = 'bare node:http, reads the body and answers 202'

/**
 * Server CPU time per event of `POST /event` at saturation, with and without Kafka.
 *
 * @throws if an event was not accepted, or the topic does not hold all accepted events
 */
export async function benchApi({ rounds, seconds, say }: Bench): Promise<Measurement[]> {
  const stack = await startStack()
  const { pipeline } = stack
  try {
    const whole = await pinService(pipeline.startApi(), MEASURED_CORE)
    const alone = await pinService(
      pipeline.startService('tools/bench/servers/api-without-kafka.ts', 'PORT'),
      MEASURED_CORE,
    )
    const baseline = await pinService(
      pipeline.startService('tools/bench/servers/baseline-http.ts', 'PORT'),
      MEASURED_CORE,
    )
    const run =
      (server: NodeService, isBaseline = false) =>
      async (): Promise<Saturated> =>
        await saturate(server.pid ?? 0, {
          url: server.url,
          ...CLIENTS.api,
          ...spanOf(seconds),
          isBaseline,
        })
    const variants = { baseline: run(baseline, true), alone: run(alone), whole: run(whole) }
    const results = await inTurns(rounds, variants, (name, round, { cpuUs, perSecond }) => {
      say(
        `api ${round}/${rounds} ${name}: ${cpuUs.toFixed(1)} us of CPU per event, ${perSecond.toFixed(0)}/s`,
      )
    })
    const accepted = results.whole.reduce((sum, each) => sum + each.accepted, 0)
    const stored = await eventsInTopic(pipeline)
    if (stored !== accepted) throw new Error(`the topic holds ${stored} events, ${accepted} were accepted`)

    const cpu = (name: keyof typeof variants): number[] => results[name].map(({ cpuUs }) => cpuUs)
    const rate = (name: keyof typeof variants): string => {
      const { median } = quartiles(results[name].map(({ perSecond }) => perSecond))
      const busy = quartiles(results[name].map((each) => each.busy)).median
      return `${Math.round(median).toLocaleString('en')}/s at ${Math.round(busy * 100)}% of a core`
    }
    const facts = { baseline: BASELINE, unit: 'us of CPU per event' }
    return [
      measurementOf(
        {
          ...facts,
          measurement: 'POST /event, whole',
          must: 1.9,
          aim: 1.5,
          notes: [
            `ours ${rate('whole')}; baseline ${rate('baseline')}`,
            `${accepted} accepted = ${stored} in the topic`,
          ],
        },
        cpu('whole'),
        cpu('baseline'),
      ),
      measurementOf(
        {
          ...facts,
          measurement: 'POST /event, without Kafka',
          must: 1.5,
          aim: 1.25,
          notes: [`ours ${rate('alone')}`],
        },
        cpu('alone'),
        cpu('baseline'),
      ),
    ]
  } finally {
    await pipeline.close()
  }
}
