import { formatTable } from '../../platform/table.ts'
import type { Layout } from './events-database.ts'
import { type Measurement, measurementOf } from './measurement.ts'
import { quartiles } from './pairs.ts'

/* What the drains into the layouts of `events` show. Pure. */

/** `empty`: the deferred layout, emptied before each drain. */
export type LayoutName = Layout | 'empty'

/** One drain. */
export interface TableDrain {
  perSecond: number
  /** CPU time per row of the sink's process, in microseconds. */
  ownUs: number
  /** The same of PostgreSQL. */
  serverUs: number
  /** Bytes of WAL per row, including full-page images after checkpoints. */
  walBytes: number
}

/** The drains into one layout at one size. */
export interface LayoutDrains {
  /** Rows in the table before them, rounded. */
  rows: number
  name: LayoutName
  drains: TableDrain[]
  /** What PostgreSQL does for these rows later (VACUUM; `deferred`: builds the user indexes): CPU time per row, and all of it in seconds. */
  later: { us: number; seconds: number }
}

/** One line of progress. */
export function drainLine({ perSecond, ownUs, serverUs, walBytes }: TableDrain): string {
  const cpu = `${ownUs.toFixed(2)} us of CPU of the sink and ${serverUs.toFixed(2)} of PostgreSQL`
  return `${Math.round(perSecond).toLocaleString('en')} rows/s, ${cpu}, ${Math.round(walBytes)} bytes of WAL per row`
}

/**
 * The measurements that have bounds: of the deferred layout at the largest size; of the immediate one at each, because it
 * must not be worse than the one before.
 */
export function tableMeasurements(layouts: readonly LayoutDrains[]): Measurement[] {
  const sizes = [...new Set(layouts.map(({ rows }) => rows))]
  const at = (rows: number) => (name: LayoutName) =>
    layouts.find((each) => each.rows === rows && each.name === name)
  return [
    ...largestMeasurements(at(Math.max(...sizes))),
    ...sizes.flatMap((rows) => immediateMeasurements(at(rows))),
  ]
}

type At = (name: LayoutName) => LayoutDrains | undefined

function largestMeasurements(at: At): Measurement[] {
  const [deferred, empty, before] = [at('deferred'), at('empty'), at('before')]
  if (deferred === undefined || before === undefined) return []
  const toEmpty =
    empty &&
    measurementOf(
      {
        ...named(deferred, 'rows/s as of an empty table'),
        baseline: 'an empty one',
        ...RATE,
        must: 0.9,
        aim: 0.95,
        notes: [],
      },
      rates(deferred),
      rates(empty),
    )
  const toBefore = measurementOf(
    { ...named(deferred, 'rows/s as before'), baseline: BEFORE, ...RATE, must: 1.4, aim: 1.6, notes: [] },
    rates(deferred),
    rates(before),
  )
  const cost = measurementOf(
    {
      ...named(deferred, "PostgreSQL's CPU as before"),
      baseline: `${BEFORE}, without VACUUM`,
      unit: 'us of CPU per row',
      must: 0.7,
      aim: 0.6,
      notes: [
        `${deferred.later.us.toFixed(2)} us of it later, when the day is over (index and VACUUM); in one table ${before.later.us.toFixed(2)} us (VACUUM), which are not counted here`,
      ],
    },
    deferred.drains.map(({ serverUs }) => serverUs + deferred.later.us),
    before.drains.map(({ serverUs }) => serverUs),
  )
  return [...(toEmpty === undefined ? [] : [toEmpty]), toBefore, cost]
}

function immediateMeasurements(at: At): Measurement[] {
  const [immediate, before] = [at('immediate'), at('before')]
  if (immediate === undefined || before === undefined) return []
  const facts = {
    ...named(immediate, 'rows/s as before'),
    baseline: BEFORE,
    ...RATE,
    must: 0.97,
    aim: 1,
    notes: [],
  }
  return [measurementOf(facts, rates(immediate), rates(before))]
}

const BEFORE = 'the same backlogs into one table, as before there were partitions'
const RATE = { unit: 'rows/s', better: 'more' } as const

function named({ name, rows }: LayoutDrains, what: string): Pick<Measurement, 'measurement'> {
  return { measurement: `${name}, ${inMillions(rows)} rows: ${what}` }
}

function rates({ drains }: LayoutDrains): number[] {
  return drains.map(({ perSecond }) => perSecond)
}

/** The drains as a table for the terminal: medians. */
export function layoutTable(layouts: readonly LayoutDrains[]): string {
  const names = ['rows', 'layout', 'rows/s', 'CPU: sink', 'PostgreSQL', 'later', 'WAL per row']
  const rows = layouts.map(({ rows: size, name, drains, later }) => {
    const median = (key: keyof TableDrain): number => quartiles(drains.map((drain) => drain[key])).median
    return [
      inMillions(size),
      name,
      Math.round(median('perSecond')).toLocaleString('en'),
      `${median('ownUs').toFixed(2)} us`,
      `${median('serverUs').toFixed(2)} us`,
      `${later.us.toFixed(2)} us (${later.seconds.toFixed(1)} s)`,
      `${Math.round(median('walBytes'))} bytes`,
    ]
  })
  return formatTable(names, rows, 60)
}

function inMillions(rows: number): string {
  return rows >= 1_000_000 ? `${rows / 1_000_000} M` : rows.toLocaleString('en')
}
