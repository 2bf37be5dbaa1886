import { setTimeout as delay } from 'node:timers/promises'
import { load } from '../load/load.ts'
import { averageRecordBytes } from './backlog.ts'
import type { Bench } from './bench.ts'
import { ALL_CORES, cpuMs, MEASURED_CORE, pin, pinService } from './machine.ts'
import { metricsOf } from './metrics.ts'
import { inTurns } from './pairs.ts'
import { installTools, runProducerPerformance } from './producer-performance.ts'
import { type Measurement, measurementOf } from './measurement.ts'
import { startStack, eventsInTopic } from './stack.ts'

/** The broker runs on the other core, see startStack(). */
const FEEDING_CORE = MEASURED_CORE
const RATE = 5_000
const CONNECTIONS = 256
const LINGER_MS = 5
const IDLE_MS = 3_000

/**
 * Broker CPU time per event at 5,000 events/s, compared with Apache's own producer. The broker has one core to itself;
 * everything that feeds it shares the other.
 */
export async function benchBroker({ rounds, seconds, say }: Bench): Promise<Measurement[]> {
  const tools = await installTools(say)
  const stack = await startStack({ LINGER_MS: String(LINGER_MS) })
  const { pipeline, kafkaPid } = stack
  try {
    const api = await pinService(pipeline.startApi(), FEEDING_CORE)
    pin(process.pid, FEEDING_CORE) // this process generates the load
    const records = RATE * seconds
    const recordBytes = averageRecordBytes()
    let expected = 0
    let idleShare = 0
    /** Net of the idle broker's CPU time, because ProducerPerformance takes a while to start and to exit. */
    const measured = async (work: () => Promise<unknown>): Promise<number> => {
      const [before, beganMs] = [cpuMs(kafkaPid), performance.now()]
      await work()
      expected += records
      const idleMs = (performance.now() - beganMs) * idleShare
      return ((cpuMs(kafkaPid) - before - idleMs) * 1_000) / records
    }
    const ours = async (): Promise<number> =>
      await measured(async () => {
        const { acked } = await load({
          url: api.url,
          rate: RATE,
          connections: CONNECTIONS,
          seconds,
          retry: true,
        })
        if (acked !== records) throw new Error(`${acked} of ${records} events were accepted`)
      })
    const { bootstrapServers } = pipeline.backend.kafka
    const baseline = async (): Promise<number> =>
      await measured(async () => {
        const topic = 'events'
        const asked = { records, recordBytes, perSecond: RATE, lingerMs: LINGER_MS }
        await runProducerPerformance(tools, { bootstrapServers, topic, ...asked })
      })
    for (const warmUp of [ours, baseline, ours, baseline]) await warmUp() // until the broker's JVM has compiled the hot code
    const before = cpuMs(kafkaPid)
    await delay(IDLE_MS)
    idleShare = (cpuMs(kafkaPid) - before) / IDLE_MS
    const results = await inTurns(rounds, { baseline, ours }, (name, round, cpuUs) => {
      say(`broker ${round}/${rounds} ${name}: ${cpuUs.toFixed(1)} us of CPU per event`)
    })
    const stored = await eventsInTopic(pipeline)
    if (stored !== expected) throw new Error(`the topic holds ${stored} records, ${expected} were sent`)
    const eventsPerSend = await averageSend(api.url)
    return [
      measurementOf(
        {
          measurement: `broker, at ${RATE.toLocaleString('en')} events/s`,
          baseline: `ProducerPerformance, ${recordBytes} bytes, linger ${LINGER_MS} ms, acks=all`,
          unit: 'us of CPU per event, broker',
          must: 1.5,
          aim: 1.1,
          notes: [`${eventsPerSend.toFixed(1)} events per send`, `${stored} records = ${expected} sent`],
        },
        results.ours,
        results.baseline,
      ),
    ]
  } finally {
    pin(process.pid, ALL_CORES)
    await pipeline.close()
  }
}

/** Events per send, from the API's own metrics. */
async function averageSend(url: string): Promise<number> {
  const value = await metricsOf(url)
  return value('firehose_api_kafka_events_total') / value('firehose_api_kafka_sends_total')
}
