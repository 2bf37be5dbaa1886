import { appendFileSync, existsSync, readFileSync } from 'node:fs'
import type { StageName, Stretch } from './drill.ts'
import { UserError } from '../../embedded/user-error.ts'
import { deck, type Kind, KINDS, type Kinds, type Moment, MOMENTS } from './plan.ts'

/** The file of what was done so far, a line of JSON for each stretch: a later run goes on from there. */
export class DrillRecord {
  readonly #file: string | undefined
  readonly stretches: Stretch[] = []

  /**
   * @param file made when it is not there; without one nothing is kept
   * @throws {UserError} for a file that holds something else, or another stage's faults
   */
  constructor(file: string | undefined, stage: StageName) {
    this.#file = file
    if (file === undefined || !existsSync(file)) return
    // A last line that was cut off is a stretch that was not done.
    const lines = readFileSync(file, 'utf8').split('\n').slice(0, -1)
    this.stretches = lines.map((line) => readStretch(line, file))
    const other = this.stretches.find((stretch) => stretch.stage !== stage)
    if (other !== undefined)
      throw new UserError(`${file} holds faults of the ${other.stage} stage: name another --state file.`)
  }

  add(stretch: Stretch): void {
    this.stretches.push(stretch)
    if (this.#file !== undefined) appendFileSync(this.#file, `${JSON.stringify(stretch)}\n`)
  }

  /** How many faults of a seed's plan are done. */
  done(seed: number): number {
    return this.#of(seed).reduce((most, { faults }) => Math.max(most, (faults.at(-1)?.index ?? -1) + 1), 0)
  }

  #of(seed: number): Stretch[] {
    return this.stretches.filter((stretch) => stretch.seed === seed)
  }
}

function readStretch(line: string, file: string): Stretch {
  try {
    return JSON.parse(line) as Stretch
  } catch {
    throw new UserError(`${file} is no state file of a drill: name another --state file.`)
  }
}

export interface DrillVerdict {
  seeds: number[]
  faults: number
  observed: number
  acked: number
  lost: number
  twice: number
  problems: string[]
  /** Nothing lost, nothing twice, no problems. */
  ok: boolean
}

export function judgeAll(stretches: readonly Stretch[]): DrillVerdict {
  const sum = (value: (stretch: Stretch) => number) => stretches.reduce((total, one) => total + value(one), 0)
  const lost = sum((stretch) => stretch.lost)
  const twice = sum((stretch) => stretch.twice)
  const problems = stretches.flatMap(({ seed, problems: found }) =>
    found.map((problem) => `seed ${seed}: ${problem}`),
  )
  return {
    seeds: [...new Set(stretches.map(({ seed }) => seed))],
    faults: sum(({ faults }) => faults.length),
    observed: sum(({ faults }) => faults.filter(({ evidence }) => evidence !== undefined).length),
    acked: sum((stretch) => stretch.acked),
    lost,
    twice,
    problems,
    ok: lost === 0 && twice === 0 && problems.length === 0,
  }
}

/** Observed faults, a row for each kind and a column for each moment; '-' where there is nothing to tell apart. */
export function countByMoment(
  stretches: readonly Stretch[],
  kinds: Kinds = KINDS,
): { names: string[]; rows: string[][] } {
  const seen = new Map<string, number>()
  for (const { kind, moment, evidence } of stretches.flatMap(({ faults }) => faults)) {
    if (evidence === undefined) continue
    const cell = `${kind} ${moment}`
    seen.set(cell, (seen.get(cell) ?? 0) + 1)
  }
  const cells = new Set(deck(kinds).map(({ kind, moment }) => `${kind} ${moment}`))
  const count = (kind: Kind, moment: Moment) => {
    const cell = `${kind} ${moment}`
    return cells.has(cell) ? String(seen.get(cell) ?? 0) : '-'
  }
  const rows = (Object.keys(kinds) as Kind[]).map((kind) => [
    kind,
    ...MOMENTS.map((moment) => count(kind, moment)),
  ])
  return { names: ['kind', ...MOMENTS], rows }
}
