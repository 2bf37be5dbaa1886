import { type Quartiles, quartiles, ratios } from './pairs.ts'

/** One line of the results: a measurement of ours and of a baseline in the same run. */
export interface Measurement {
  measurement: string
  baseline: string
  /** Unit of `ours` and `baselineValue`. */
  unit: string
  ours: Quartiles
  baselineValue: Quartiles
  /** Ours divided by the baseline, pair by pair. */
  ratio: Quartiles
  /** Bounds of the ratio: upper bounds, or lower bounds for rates (`more`). */
  must: number
  aim: number
  better: 'less' | 'more'
  pairs: number
  /** Other observations: rates, core utilisation, checks. */
  notes: string[]
}

/** Creates a measurement from the values of each round. */
export function measurementOf(
  facts: Pick<Measurement, 'measurement' | 'baseline' | 'unit' | 'must' | 'aim' | 'notes'> &
    Partial<Pick<Measurement, 'better'>>,
  ours: readonly number[],
  baseline: readonly number[],
): Measurement {
  return {
    better: 'less',
    ...facts,
    ours: quartiles(ours),
    baselineValue: quartiles(baseline),
    ratio: quartiles(ratios(ours, baseline)),
    pairs: ours.length,
  }
}

/** Whether the median ratio is within a bound, `must` or `aim`. */
export function reaches({ ratio: { median }, better }: Measurement, bound: number): boolean {
  return better === 'less' ? median <= bound : median >= bound
}
