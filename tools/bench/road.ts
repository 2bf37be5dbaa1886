import { type Quartiles, quartiles, ratios } from './pairs.ts'

/** One line of the result: a road of ours against a floor that was measured in the same run. */
export interface Road {
  road: string
  floor: string
  /** Of `ours` and `floorValue`. */
  unit: string
  ours: Quartiles
  floorValue: Quartiles
  /** Ours over the floor, pair by pair. */
  ratio: Quartiles
  /** The bounds of the ratio: upper ones, or for rates (`more`) lower ones. */
  must: number
  aim: number
  better: 'less' | 'more'
  pairs: number
  /** What else was seen: rates, shares of a core, checks. */
  notes: string[]
}

/** A road from the values of each round. */
export function roadOf(
  facts: Pick<Road, 'road' | 'floor' | 'unit' | 'must' | 'aim' | 'notes'> & Partial<Pick<Road, 'better'>>,
  ours: readonly number[],
  floor: readonly number[],
): Road {
  return {
    better: 'less',
    ...facts,
    ours: quartiles(ours),
    floorValue: quartiles(floor),
    ratio: quartiles(ratios(ours, floor)),
    pairs: ours.length,
  }
}

/** Whether the road's median ratio is within a bound: its `must` or its `aim`. */
export function reaches({ ratio: { median }, better }: Road, bound: number): boolean {
  return better === 'less' ? median <= bound : median >= bound
}
