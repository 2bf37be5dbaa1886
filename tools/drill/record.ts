import { appendFileSync, existsSync, readFileSync } from 'node:fs'
import { UserError } from '../../embedded/user-error.ts'
import type { StageName } from './drill.ts'
import { isClean, type Stretch } from './stretch.ts'

/** The state file: one line of JSON per stretch. A later run continues from there. */
export class DrillRecord {
  readonly #file: string | undefined
  readonly stretches: Stretch[] = []

  /**
   * @param file created if it does not exist; if undefined, nothing is saved
   * @throws {UserError} if the file is not a state file, or is of another stage
   */
  constructor(file: string | undefined, stage: StageName) {
    this.#file = file
    if (file === undefined || !existsSync(file)) return
    // An incomplete last line is a stretch that has to be repeated.
    const lines = readFileSync(file, 'utf8').split('\n').slice(0, -1)
    this.stretches = lines.map((line) => readStretch(line, file))
    const other = this.stretches.find((stretch) => stretch.stage !== stage)
    if (other !== undefined)
      throw new UserError(`${file} contains faults of the ${other.stage} stage: use another --state file.`)
  }

  add(stretch: Stretch): void {
    this.stretches.push(stretch)
    if (this.#file !== undefined) appendFileSync(this.#file, `${JSON.stringify(stretch)}\n`)
  }

  /** The number of faults of a seed's plan that have been run. */
  done(seed: number): number {
    const own = this.stretches.filter((stretch) => stretch.seed === seed)
    return own.reduce((most, { faults }) => Math.max(most, (faults.at(-1)?.index ?? -1) + 1), 0)
  }
}

function readStretch(line: string, file: string): Stretch {
  try {
    return JSON.parse(line) as Stretch
  } catch {
    throw new UserError(`${file} is not a state file of a drill: use another --state file.`)
  }
}

export interface DrillVerdict {
  seeds: number[]
  /** Faults planned; the next two count those observed and skipped. */
  faults: number
  observed: number
  skipped: number
  acked: number
  lost: number
  twice: number
  /** Each starts with the seed and the faults of its stretch. */
  problems: string[]
  /** At least one fault was observed, and no stretch, however old, had a problem. */
  ok: boolean
}

export function judgeAll(stretches: readonly Stretch[]): DrillVerdict {
  const sum = (value: (stretch: Stretch) => number) => stretches.reduce((total, one) => total + value(one), 0)
  const observed = sum(({ faults }) => faults.filter(({ evidence }) => evidence !== undefined).length)
  return {
    seeds: [...new Set(stretches.map(({ seed }) => seed))],
    faults: sum(({ faults }) => faults.length),
    observed,
    skipped: sum(({ faults }) => faults.filter(({ skipped }) => skipped !== undefined).length),
    acked: sum((stretch) => stretch.acked),
    lost: sum((stretch) => stretch.lost),
    twice: sum((stretch) => stretch.twice),
    problems: stretches.flatMap(problemsOf),
    ok: observed > 0 && stretches.every(isClean),
  }
}

function problemsOf(stretch: Stretch): string[] {
  const { seed, faults, lost, twice, problems } = stretch
  const [first, last] = [faults[0], faults.at(-1)].map((fault) => (fault?.index ?? 0) + 1)
  const place = faults.length === 0 ? `seed ${seed}` : `seed ${seed}, faults ${first} to ${last}`
  const figures = lost + twice === 0 ? [] : [`${lost} lost, ${twice} twice`]
  return [...figures, ...problems].map((problem) => `${place}: ${problem}`)
}
