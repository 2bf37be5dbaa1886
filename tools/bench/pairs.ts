/* Alternating runs and their statistics. Pure, apart from the runs themselves. */

/** The median and the lower and upper quartile. */
export interface Quartiles {
  q1: number
  median: number
  q3: number
}

/** @param values at least one */
export function quartiles(values: readonly number[]): Quartiles {
  const sorted = values.toSorted((a, b) => a - b)
  const at = (share: number): number => {
    const place = share * (sorted.length - 1)
    const low = sorted[Math.floor(place)] ?? Number.NaN
    const high = sorted[Math.ceil(place)] ?? Number.NaN
    return low + (high - low) * (place - Math.floor(place))
  }
  return { q1: at(0.25), median: at(0.5), q3: at(0.75) }
}

/**
 * Runs all variants in turn, `rounds` times, every other round in reverse order, so that drift and the after-effects
 * of a run affect all variants equally.
 *
 * @returns the results of each variant, by round
 */
export async function inTurns<Name extends string, Result>(
  rounds: number,
  variants: Readonly<Record<Name, () => Promise<Result>>>,
  onRun: (name: Name, round: number, result: Result) => void,
): Promise<Record<Name, Result[]>> {
  const names = Object.keys(variants) as Name[]
  const results = Object.fromEntries(names.map((name) => [name, [] as Result[]])) as Record<Name, Result[]>
  for (let round = 1; round <= rounds; round += 1) {
    for (const name of round % 2 === 1 ? names : names.toReversed()) {
      const result = await variants[name]()
      results[name].push(result)
      onRun(name, round, result)
    }
  }
  return results
}

/** The ratio of each round. */
export function ratios(over: readonly number[], under: readonly number[]): number[] {
  return over.map((value, round) => value / (under[round] ?? Number.NaN))
}
