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
 * @param beforeRound prepares what all variants of a round share
 * @returns the results of each variant, by round
 */
export async function inTurns<Name extends string, Result>(
  rounds: number,
  variants: Readonly<Record<Name, () => Promise<Result>>>,
  onRun: (name: Name, round: number, result: Result) => void,
  beforeRound: () => Promise<void> = async () => {},
): Promise<Record<Name, Result[]>> {
  const names = Object.keys(variants) as Name[]
  const results = Object.fromEntries(names.map((name) => [name, [] as Result[]])) as Record<Name, Result[]>
  for (let round = 1; round <= rounds; round += 1) {
    await beforeRound()
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

/** The geometric mean of ratios, and the interval that holds the true one with a confidence of 95 %. */
export interface MeanRatio {
  low: number
  mean: number
  high: number
}

/** 0.975 quantile of the standard normal distribution. */
const Z = 1.959964

/** Student's t interval of the ratios' logarithms. @param values at least two */
export function meanRatio(values: readonly number[]): MeanRatio {
  const logs = values.map((value) => Math.log(value))
  const mean = logs.reduce((sum, log) => sum + log, 0) / logs.length
  const freedom = logs.length - 1
  const variance = logs.reduce((sum, log) => sum + (log - mean) ** 2, 0) / freedom
  const half = studentT(freedom) * Math.sqrt(variance / logs.length)
  return { low: Math.exp(mean - half), mean: Math.exp(mean), high: Math.exp(mean + half) }
}

/** The 0.975 quantile of Student's t: the expansion in NIST/SEMATECH, e-Handbook 1.3.6.6.4, to within 1 % from 3 degrees on. */
function studentT(freedom: number): number {
  const second = (Z ** 3 + Z) / (4 * freedom)
  const third = (5 * Z ** 5 + 16 * Z ** 3 + 3 * Z) / (96 * freedom ** 2)
  const fourth = (3 * Z ** 7 + 19 * Z ** 5 + 17 * Z ** 3 - 15 * Z) / (384 * freedom ** 3)
  return Z + second + third + fourth
}
