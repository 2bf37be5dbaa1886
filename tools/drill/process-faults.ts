import { gone, type Part } from './part.ts'
import type { Scene, Strike } from './scene.ts'
import type { Times } from './stage.ts'

/* Faults in which a part of the stack is stopped, killed or frozen. */

type PartOf = (scene: Scene) => Part
export const api: PartOf = ({ stage }) => stage.api
export const sink: PartOf = (scene) => scene.sink
export const kafka: PartOf = ({ stage }) => stage.kafka
export const postgres: PartOf = ({ stage }) => stage.postgres

export function killed(partOf: PartOf): Strike {
  return async (scene) => {
    const part = partOf(scene)
    await scene.moment()
    const pid = part.pid()
    await part.kill()
    scene.endHold()
    const evidence = await gone(part, pid)
    await part.start()
    return evidence
  }
}

export function ended(partOf: PartOf): Strike {
  return async (scene) => {
    const part = partOf(scene)
    await scene.moment()
    const pid = part.pid()
    const ending = part.stop()
    if (scene.fault.arrives) scene.endHold() // in time for a clean shutdown
    await ending
    scene.endHold()
    const evidence = await gone(part, pid)
    await part.start()
    return evidence
  }
}

export function frozen(partOf: PartOf, time: keyof Times): Strike {
  return async (scene) => {
    const forMs = scene.stage.times[time]
    const part = partOf(scene)
    await scene.moment()
    const answered = await part.answers()
    await part.freeze()
    if (scene.fault.arrives) scene.endHold() // to be processed when it thaws
    try {
      const frozenMs = performance.now()
      const answers = await part.answers()
      await scene.pause(Math.max(0, forMs - (performance.now() - frozenMs)))
      const isFrozen = (await part.state()) === 'frozen'
      return answered && !answers && isFrozen
        ? `${part.name} was frozen for ${forMs} ms and did not answer`
        : undefined
    } finally {
      await part.thaw()
      scene.endHold(true)
    }
  }
}

/** Restarts one part after the other, as a deployment does, each only when the previous one answers again. */
export const rollingRestart: Strike = async (scene) => {
  const { sinks, api: apiPart } = scene.stage
  const parts = [...sinks, apiPart]
  for (const part of parts) {
    const pid = part.pid()
    await part.stop()
    if ((await gone(part, pid)) === undefined) return undefined
    await part.start()
    const isBack = await scene.poll(async () => ((await part.answers()) ? 'it answers' : undefined))
    if (isBack === undefined) throw new Error(`${part.name} does not answer again`)
  }
  return `${parts.map(({ name }) => name).join(', ')} were restarted in turn`
}
