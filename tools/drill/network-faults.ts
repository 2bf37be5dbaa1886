import type { Scene, Strike } from './scene.ts'
import type { Link } from './tcp-proxy.ts'

/* Faults in which connections break, stall or are slow. */

const LATE_MS = 300

type LinksOf = (scene: Scene) => Link[]
export const sinkToPostgres: LinksOf = (scene) =>
  scene.caught ? [scene.caught] : (scene.sink.proxy?.links() ?? [])
export const sinksToKafka: LinksOf = ({ stage }) => stage.kafkaProxy?.links('firehose-sink') ?? []
export const apiToKafka: LinksOf = ({ stage }) => stage.kafkaProxy?.links('firehose-api') ?? []
export const clientsToApi: LinksOf = ({ stage }) => stage.httpProxy.links()

export function cut(linksOf: LinksOf): Strike {
  return async (scene) => {
    await scene.moment()
    const links = await someLinks(scene, linksOf)
    for (const link of links) link.cut()
    scene.endHold()
    const evidence = await scene.poll(() =>
      links.every((link) => link.closed.size === 2) ? 'broken' : undefined,
    )
    return links.length === 0 ? undefined : evidence && `${links.length} connections were broken`
  }
}

export function halfOpen(linksOf: LinksOf): Strike {
  return async (scene) => {
    await scene.moment()
    const links = await someLinks(scene, linksOf)
    for (const link of links) link.hold()
    await scene.pause(scene.stage.times.sinkLong)
    const held = sum(links.map((link) => link.heldMessages))
    const givenUp = links.filter((link) => link.closed.has('client')).length
    for (const link of links) {
      if (scene.fault.arrives) link.release()
      else link.cut()
    }
    scene.endHold()
    return held + givenUp === 0
      ? undefined
      : `${held} messages were held back, ${givenUp} connections were given up`
  }
}

export function delayed(linksOf: LinksOf): Strike {
  return async (scene) => {
    await scene.moment()
    const links = await someLinks(scene, linksOf)
    const before = sum(links.map((link) => link.delayedChunks))
    for (const link of links) link.delayMs = LATE_MS
    await scene.pause(3_000)
    for (const link of links) link.delayMs = 0
    const late = sum(links.map((link) => link.delayedChunks)) - before
    return late === 0 ? undefined : `${late} messages were delayed by ${LATE_MS} ms`
  }
}

/** Intact links, so that the effect can only be ours. Waits for one, because the previous fault may have broken them. */
async function someLinks(scene: Scene, linksOf: LinksOf): Promise<Link[]> {
  const whole = () => linksOf(scene).filter((link) => link.closed.size === 0)
  return (await scene.poll(() => (whole().length > 0 ? whole() : undefined), 5_000)) ?? []
}

function sum(counts: readonly number[]): number {
  return counts.reduce((total, count) => total + count, 0)
}

export const responseLost: Strike = async (scene) => {
  await scene.moment()
  const { caught } = scene
  const held = caught?.heldMessages
  caught?.cut()
  return held ? 'the response was in transit and did not arrive' : undefined
}
