import { startComposeStage } from './compose-stage.ts'
import { startEmbeddedStage } from './embedded-stage.ts'
import { plan } from './plan.ts'
import type { Stage } from './stage.ts'
import { isClean, runStretch, type Stretch, type StretchOptions } from './stretch.ts'

export interface DrillOptions extends StretchOptions {
  /** The part of the seed's plan to run: from (inclusive) to (exclusive). */
  from: number
  to: number
  /** Called after each comparison. */
  onStretch: (stretch: Stretch) => void
}

type StartOptions = Pick<DrillOptions, 'onLog' | 'signal'>

const STAGES = {
  embedded: async (): Promise<Stage> => await startEmbeddedStage(),
  compose: async ({ onLog, signal }: StartOptions): Promise<Stage> => await startComposeStage(onLog, signal),
}

/** `embedded`: child processes; `compose`: the containers of docker-compose.yml. */
export type StageName = keyof typeof STAGES

const STRETCH_FAULTS = 20

/**
 * Runs part of a seed's plan on a separate stack; nothing else is affected.
 *
 * @returns whether all went well; if not, the last stretch has the problem
 * @throws if the stack could not be started; the signal's reason
 */
export async function drill(options: DrillOptions): Promise<boolean> {
  return await rehearse(await STAGES[options.stage](options), options)
}

/** As drill(), on a running stack. Closes it at the end, and keeps its data if something was wrong. */
export async function rehearse(stage: Stage, options: DrillOptions): Promise<boolean> {
  const { seed, from, to, signal } = options
  const faults = plan(seed, to, stage.kinds).slice(from)
  let isFine = true
  try {
    for (let first = 0; isFine && first < faults.length; first += STRETCH_FAULTS) {
      signal.throwIfAborted()
      const stretch = await runStretch(stage, faults.slice(first, first + STRETCH_FAULTS), options)
      isFine = isClean(stretch)
      options.onStretch(stretch)
    }
    return isFine
  } finally {
    await stage.close({ keep: !isFine })
  }
}
