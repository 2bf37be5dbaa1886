import { rssMiB } from '../../embedded/process-info.ts'
import { load } from '../load/load.ts'
import type { Bench } from './bench.ts'
import { allStored } from './latency.ts'
import { quartiles } from './pairs.ts'
import { startStack } from './stack.ts'

const RATE = 2_000
const CONNECTIONS = 256
const SAMPLE_MS = 5_000
/** Maximum ratio of the last minute to the second. */
export const MEMORY_MUST = 1.1

/** Resident memory at one moment of the load. */
interface MemorySample {
  atS: number
  miB: number
}

/** Resident memory of a service under a steady load. */
export interface MemoryOverTime {
  service: 'api' | 'sink'
  rate: number
  minutes: number
  /** Median of the second minute; see summarise(). */
  earlyMiB: number
  /** Median of the last minute. */
  lateMiB: number
  maxMiB: number
  samples: MemorySample[]
}

/**
 * A steady load of 2,000 requests/s, everything on this machine; samples the resident memory of both services every 5 s.
 *
 * @throws if an event failed, or the table does not hold exactly the acknowledged events
 */
export async function benchMemory({ minutes, say }: Bench & { minutes: number }): Promise<MemoryOverTime[]> {
  const { pipeline } = await startStack({}, { isPinned: false })
  try {
    const [api, sink] = [await pipeline.startApi(), await pipeline.startSink()]
    const seconds = minutes * 60
    const samples = { api: [] as MemorySample[], sink: [] as MemorySample[] }
    const beganMs = performance.now()
    const sampler = setInterval(() => {
      const atS = (performance.now() - beganMs) / 1_000
      for (const [name, service] of [
        ['api', api],
        ['sink', sink],
      ] as const)
        samples[name].push({ atS, miB: rssMiB(service.pid ?? 0) })
      if (samples.api.length % (60_000 / SAMPLE_MS) !== 0) return
      const now = (name: 'api' | 'sink') => `${name} ${Math.round(samples[name].at(-1)?.miB ?? 0)} MiB`
      say(`memory ${Math.round(atS / 60)}/${minutes} min: ${now('api')}, ${now('sink')}`)
    }, SAMPLE_MS)
    const { acked, sent } = await load({
      url: api.url,
      rate: RATE,
      connections: CONNECTIONS,
      seconds,
    }).finally(() => clearInterval(sampler))
    if (acked !== sent) throw new Error(`${sent - acked} of ${sent} events failed`)
    await allStored(pipeline)
    const rows = await pipeline.countEvents()
    if (rows !== acked) throw new Error(`${rows} rows for ${acked} acknowledged events`)
    say(`memory: ${acked.toLocaleString('en')} acknowledged = ${rows.toLocaleString('en')} rows`)
    return (['api', 'sink'] as const).map((service) => ({
      service,
      rate: RATE,
      minutes,
      ...summarise(samples[service], seconds),
      samples: samples[service],
    }))
  } finally {
    await pipeline.close()
  }
}

/** Whether memory has not grown since the second minute, apart from noise. */
export function isFlat({ earlyMiB, lateMiB }: Pick<MemoryOverTime, 'earlyMiB' | 'lateMiB'>): boolean {
  return lateMiB <= earlyMiB * MEMORY_MUST
}

/** Medians of the second and the last minute and the maximum. A load under four minutes is divided into quarters instead. */
export function summarise(
  samples: readonly MemorySample[],
  seconds: number,
): Pick<MemoryOverTime, 'earlyMiB' | 'lateMiB' | 'maxMiB'> {
  const windowS = Math.min(60, seconds / 4)
  const median = (fromS: number): number => {
    const inside = samples.filter(({ atS }) => atS >= fromS && atS < fromS + windowS)
    return quartiles(inside.map(({ miB }) => miB)).median
  }
  return {
    earlyMiB: median(windowS),
    lateMiB: median(seconds - windowS),
    maxMiB: Math.max(...samples.map(({ miB }) => miB)),
  }
}
