import type { SinkPart } from './part.ts'
import type { Strike } from './scene.ts'

/** Two sinks fight over the same partitions, one of them perhaps standing still within its transaction. */
export const twoSinks: Strike = async (scene) => {
  const { stage } = scene
  const rival = await stage.startRival?.()
  if (rival === undefined) return undefined
  const all = [...stage.sinks, rival]
  try {
    const before = await scene.seen(async () => await fencesLost(all))
    await scene.moment()
    const releaseMs = performance.now() + stage.times.sinkLong
    const evidence = await scene.seen(async () => {
      if (scene.caught?.closed.has('server')) return "the rival ended the sink's session"
      if (performance.now() > releaseMs) scene.letGo(true)
      const now = await fencesLost(all)
      if (before === undefined || now === undefined) return undefined
      return now > before ? 'a sink found its range written by another' : undefined
    })
    scene.letGo(true)
    return evidence
  } finally {
    await stage.stopRival?.()
  }
}

/**
 * How often the sinks have found, since they started, that another had written their range; undefined when one does not
 * say: its count would seem to grow as soon as it does.
 */
async function fencesLost(sinks: readonly SinkPart[]): Promise<number | undefined> {
  const texts = await Promise.all(sinks.map(async (sink) => await sink.metrics()))
  if (texts.includes(undefined)) return undefined
  const counts = texts.map((text = '') => /^firehose_sink_fences_lost_total (\d+)/m.exec(text)?.[1] ?? 0)
  return counts.reduce<number>((sum, count) => sum + Number(count), 0)
}
