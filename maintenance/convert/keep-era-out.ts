import { NOT_ERA } from '../../postgres/partitions/create-tree.ts'
import { isIn } from '../../postgres/partitions/leaf.ts'
import { momentOfId, type Range } from '../../postgres/partitions/ranges.ts'
import { ROOT } from '../../postgres/partitions/tree.ts'
import { sqlstateOf } from '../../sink-worker/outage/sqlstate.ts'
import type { Conversion } from './conversion.ts'
import type { Facts } from './facts.ts'
import { locked } from './locked.ts'
import { eraOf, isStillAhead, validationOf } from './pause.ts'
import { addNotEra } from './swap.ts'

/** The era, and how many rows of the table belong to it: if there are none, a CHECK keeps more out. */
export interface EraOut {
  era: Range
  rows: number
}

/**
 * Finds an era that the table has no rows of, and keeps it so: by a CHECK that is added at once and validated while sinks
 * write. Events whose ids lie in the era are refused from then on (23514, by a constraint of ours: contention for the sink,
 * which pauses and stores them after the swap). If the table has such rows, there is no CHECK, and the swap moves them.
 *
 * @throws if the locks are held for two minutes; the driver's error
 */
export async function keepEraOut(run: Conversion, facts: Facts): Promise<EraOut> {
  const { db, report } = run
  const nowMs = await run.now()
  const table = `${facts.schema}.${ROOT}`
  const letIn = async () => await locked(run, table, async () => void (await db.query(dropNotEra(table))))
  const check = facts.constraints.find(({ name }) => name === NOT_ERA)
  const before = check === undefined ? undefined : eraOfCheck(check.definition)
  if (check !== undefined && (before === undefined || !isStillAhead(before, nowMs))) {
    await letIn()
    return await keepEraOut(run, {
      ...facts,
      constraints: facts.constraints.filter((each) => each !== check),
    })
  }
  const era = before ?? eraOf(nowMs, facts.bytes)
  if (check === undefined) {
    const rows = await rowsOfEra(run, table, era)
    if (rows > 0) return { era, rows }
    await locked(run, table, async () => {
      await db.query(`${addNotEra(table, era)} NOT VALID`)
    })
    report(
      'done',
      `From now until the table is converted, sinks pause at an event whose id lies after ${new Date(era.fromMs).toISOString()}; nothing is lost.`,
    )
  }
  if (check?.isValid !== true && !(await validate(run, table, facts.bytes))) {
    await letIn() // a row of the era came before the CHECK
    return { era, rows: await rowsOfEra(run, table, era) }
  }
  if (isStillAhead(era, await run.now())) return { era, rows: 0 }
  await letIn()
  throw new Error(
    'to read the table took so long that the first partition would begin now: run this again at a quieter time',
  )
}

/** The statement that lets the ids of the era in again. */
export function dropNotEra(table: string): string {
  return `ALTER TABLE ${table} DROP CONSTRAINT IF EXISTS ${NOT_ERA}`
}

/** The number of rows in the era, found by the key. */
export async function rowsOfEra({ db }: Pick<Conversion, 'db'>, table: string, era: Range): Promise<number> {
  const { rows } = await db.query<{ count: number }>(
    `SELECT count(*)::int AS count FROM ONLY ${table} WHERE ${isIn(era)}`,
  )
  return rows[0]?.count ?? 0
}

/** @returns false if there is a row of the era */
async function validate(run: Conversion, table: string, bytes: number): Promise<boolean> {
  const { db } = run
  try {
    run.report('done', `Reads the table, while sinks write: at most ${validationOf(bytes)} s are expected.`)
    await run.long.run(`BEGIN; SET LOCAL statement_timeout = 0; SET LOCAL transaction_timeout = 0; SET LOCAL lock_timeout = 0;
        ALTER TABLE ${table} VALIDATE CONSTRAINT ${NOT_ERA}; COMMIT`)
    return true
  } catch (error) {
    await db.query('ROLLBACK').catch(() => {})
    if (sqlstateOf(error) === '23514') return false
    throw error
  }
}

/** The era that a CHECK of ours keeps out; undefined if it is another. Pure. */
export function eraOfCheck(definition: string): Range | undefined {
  const [from, to] = Array.from(definition.matchAll(/'([-0-9a-f]{36})'/g), ([, id = '']) => momentOfId(id))
  return from === undefined || to === undefined ? undefined : { fromMs: from, toMs: to }
}
