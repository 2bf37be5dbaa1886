import type { SinkPart } from './part.ts'
import type { Strike } from './scene.ts'

/** Two sinks write the same partitions; one of them may be held within its transaction. */
export const twoSinks: Strike = async (scene) => {
  const { stage } = scene
  const rival = await stage.startRival?.()
  if (rival === undefined) return undefined
  const all = [...stage.sinks, rival]
  try {
    const before = await scene.poll(async () => await fencesLost(all))
    await scene.moment()
    const releaseMs = performance.now() + stage.times.sinkLong
    const evidence = await scene.poll(async () => {
      if (scene.caught?.closed.has('server')) return "the rival terminated the sink's session"
      if (performance.now() > releaseMs) scene.endHold(true)
      const now = await fencesLost(all)
      if (before === undefined || now === undefined) return undefined
      return now > before ? 'a sink found its range written by another sink' : undefined
    })
    scene.endHold(true)
    return evidence
  } finally {
    await stage.stopRival?.()
  }
}

/**
 * How often the sinks have lost the fence since they started. Undefined if one does not answer: when it answers again,
 * the sum would seem to grow.
 */
async function fencesLost(sinks: readonly SinkPart[]): Promise<number | undefined> {
  const texts = await Promise.all(sinks.map(async (sink) => await sink.metrics()))
  if (texts.includes(undefined)) return undefined
  const counts = texts.map((text = '') => /^firehose_sink_fences_lost_total (\d+)/m.exec(text)?.[1] ?? 0)
  return counts.reduce<number>((sum, count) => sum + Number(count), 0)
}
