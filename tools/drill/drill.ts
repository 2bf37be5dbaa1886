import { startComposeStage } from './compose-stage.ts'
import { startEmbeddedStage } from './embedded-stage.ts'
import { plan } from './plan.ts'
import type { Stage } from './stage.ts'
import { isClean, runStretch, type Stretch, type StretchOptions } from './stretch.ts'

export interface DrillOptions extends StretchOptions {
  /** Faults of the seed's plan that are to be run: from (included) and to (excluded). */
  from: number
  to: number
  /** Called after each comparison; what came before it is done for good. */
  onStretch: (stretch: Stretch) => void
}

type StartOptions = Pick<DrillOptions, 'onLog' | 'signal'>

const STAGES = {
  embedded: async (): Promise<Stage> => await startEmbeddedStage(),
  compose: async ({ onLog, signal }: StartOptions): Promise<Stage> => await startComposeStage(onLog, signal),
}

/** Child processes, or the containers of docker-compose.yml. */
export type StageName = keyof typeof STAGES

const STRETCH_FAULTS = 20

/**
 * Runs a part of a seed's plan on a stack of its own: nothing else is ever broken.
 *
 * @returns whether all went well; else the last stretch is the one that tells what did not
 * @throws the signal's reason; the stack could not be started
 */
export async function drill(options: DrillOptions): Promise<boolean> {
  return await rehearse(await STAGES[options.stage](options), options)
}

/** As drill(), on a stack that runs. It is closed at the end; its data stay when something was wrong. */
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
