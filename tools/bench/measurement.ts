import { type Quartiles, quartiles, ratios } from './pairs.ts'

/** One line of the result: a measurement of ours against a baseline that was measured in the same run. */
export interface Measurement {
  measurement: string
  baseline: string
  /** Of `ours` and `baselineValue`. */
  unit: string
  ours: Quartiles
  baselineValue: Quartiles
  /** Ours over the baseline, pair by pair. */
  ratio: Quartiles
  /** The bounds of the ratio: upper ones, or for rates (`more`) lower ones. */
  must: number
  aim: number
  better: 'less' | 'more'
  pairs: number
  /** What else was seen: rates, shares of a core, checks. */
  notes: string[]
}

/** A measurement from the values of each round. */
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

/** Whether the measurement's median ratio is within a bound: its `must` or its `aim`. */
export function reaches({ ratio: { median }, better }: Measurement, bound: number): boolean {
  return better === 'less' ? median <= bound : median >= bound
}
