import { plural } from '../../platform/units.ts'
import { readNowMs } from '../../postgres/now.ts'
import { NOT_ERA } from '../../postgres/partitions/create-tree.ts'
import { readLayout, ROOT } from '../../postgres/partitions/tree.ts'
import { sqlstateOf } from '../../sink-worker/outage/sqlstate.ts'
import { makeAhead } from '../ahead.ts'
import { BriefTransactions } from '../brief-transactions.ts'
import { withConnection } from '../connection.ts'
import { LongStatements } from '../long-statements.ts'
import type { Action, Policy } from '../maintenance.ts'
import { analyzeTree } from '../analyze.ts'
import { takeTurn } from '../turn.ts'
import type { Conversion, LineKind } from './conversion.ts'
import { readFacts, type Facts } from './facts.ts'
import { inventoryOf } from './inventory.ts'
import { dropNotEra, type EraOut, keepEraOut, rowsOfEra } from './keep-era-out.ts'
import { locked } from './locked.ts'
import { buildMissingIndexes } from './missing-indexes.ts'
import { eraOf, pauseOf } from './pause.ts'
import { type Refusal, refusalsOf } from './refusals.ts'
import { swapStatements } from './swap.ts'

export interface ConvertOptions {
  connectionString: string
  policy: Policy
  /** Only says what would be done. */
  dryRun: boolean
  /** How long sinks and readers may wait at a time, in seconds. Default 1. */
  longestPauseS?: number | undefined
  /** Instead of PostgreSQL's time, for rehearsals. */
  nowMs?: number | undefined
  report: (kind: LineKind, text: string) => void
  signal: AbortSignal
}

/** `busy`: another process maintains the table. */
export type Outcome = 'converted' | 'would convert' | 'refused' | 'busy'

/** The swap must be over before a pause is too long for I11. */
const SHARE_OF_PAUSE = 0.9
const TRANSACTION_TIMEOUT = '25P04'
/** A week: whoever converts a table waits for it, and may end it. */
const LONG_LIMIT_MS = 604_800_000

class NotConvertibleError extends Error {
  override readonly name = 'NotConvertibleError'
  readonly refusals: readonly Refusal[]

  constructor(refusals: readonly Refusal[]) {
    super(refusals.join('\n'))
    this.refusals = refusals
  }
}

/**
 * Makes the table `events` of an older installation the tree of new ones. START HERE. While sinks write: missing indexes
 * are built, and a CHECK makes sure that the table has no row of the era. Then one brief transaction (swap.ts) makes it
 * `events_other`, below a new root that has all that it had. It may be interrupted at any statement: the next one goes on
 * from what it finds in the catalog.
 *
 * @throws {TableBusyError} if the table cannot be locked; the driver's error; the reason of the signal
 */
export async function convert(options: ConvertOptions): Promise<Outcome> {
  const { connectionString, policy, dryRun, longestPauseS = 1, report, signal } = options
  const turn = await takeTurn(connectionString)
  if (turn === undefined) return 'busy'
  try {
    return await withConnection(connectionString, async (db) => {
      const brief = new BriefTransactions(db, signal)
      const long = new LongStatements(db, connectionString, signal, LONG_LIMIT_MS)
      const now = async (): Promise<number> => options.nowMs ?? (await readNowMs(db))
      const run = { connectionString, db, policy, dryRun, longestPauseS, report, signal, brief, long, now }
      return await convertOrRefuse(run)
    })
  } catch (error) {
    if (!(error instanceof NotConvertibleError)) throw error
    for (const refusal of error.refusals) report('refused', refusal)
    return 'refused'
  } finally {
    await turn.release()
  }
}

/** @throws {NotConvertibleError} and as convert() */
async function convertOrRefuse(run: Conversion): Promise<Outcome> {
  const { db, report, dryRun } = run
  if ((await readLayout(db)).kind === 'tree') {
    report('done', `"${ROOT}" is partitioned.`)
    if (!dryRun) await finish(run)
    return 'converted'
  }
  const facts = await readFacts(db)
  const refusals = refusalsOf(facts)
  if (dryRun) {
    for (const sentence of inventoryOf(facts)) report('done', sentence)
    if (refusals.length > 0) throw new NotConvertibleError(refusals)
    const era = eraOf(await run.now(), facts.bytes)
    const out = { era, rows: await rowsOfEra(run, `${facts.schema}.${ROOT}`, era) }
    checkPause(run, facts, out)
    report('done', `The first partition would begin at ${iso(era.fromMs)}.`)
    return 'would convert'
  }
  if (refusals.length > 0) throw new NotConvertibleError(refusals)
  await buildMissingIndexes(run, facts)
  const out = await partition(run, facts)
  report('done', `"${ROOT}" is partitioned; its first partition begins at ${iso(out.era.fromMs)}.`)
  for (const sentence of inventoryOf(facts)) report('done', sentence)
  await finish(run)
  return 'converted'
}

/** @throws {NotConvertibleError} if moving rows of the era would take too long */
function checkPause({ longestPauseS, report }: Conversion, { bytes }: Facts, { era, rows }: EraOut): void {
  if (rows === 0) return
  const seconds = pauseOf(bytes, rows)
  const why = `${plural(rows, 'row')} of the years that are partitioned (by the id: after ${iso(era.fromMs)}; random ids perhaps): while they are moved and the table is read, sinks and readers wait for about ${seconds.toFixed(1)} s (the API and Kafka do not)`
  if (seconds > longestPauseS)
    throw new NotConvertibleError([`${why}: allow it with --longest-pause ${Math.ceil(seconds * 2)}`])
  report('done', `${why}.`)
}

/** What sinks notice. @throws {NotConvertibleError}, or as convert(): then, ids of the era may come in again */
async function partition(run: Conversion, facts: Facts): Promise<EraOut> {
  try {
    const out = await keepEraOut(run, await readFacts(run.db))
    checkPause(run, facts, out)
    await swap(run, facts.schema, out)
    return out
  } catch (error) {
    await giveUp(run, `${facts.schema}.${ROOT}`)
    if (sqlstateOf(error) !== TRANSACTION_TIMEOUT) throw error
    throw new Error(
      `to partition "${ROOT}" took longer than sinks may wait, and was rolled back: run this again when PostgreSQL has less to do, or with --longest-pause ${Math.ceil(run.longestPauseS * 3)}`,
      { cause: error },
    )
  }
}

/** The brief transaction in which the table becomes a tree. */
async function swap(run: Conversion, schema: string, { era, rows }: EraOut): Promise<void> {
  const { db, longestPauseS } = run
  await locked(run, `${schema}.${ROOT}`, async () => {
    if (longestPauseS > 1)
      await db.query(
        `SET LOCAL transaction_timeout = 0; SET LOCAL transaction_timeout = ${Math.round(longestPauseS * SHARE_OF_PAUSE * 1000)}`,
      )
    const facts = await readFacts(db)
    const refusals = refusalsOf(facts) // it may have changed since
    if (refusals.length > 0) throw new NotConvertibleError(refusals)
    await db.query(swapStatements(facts, era, rows > 0).join(';\n'))
  })
}

/** Drops the CHECK, so that no sink waits for the next attempt. The connection may be lost, and the signal aborted. */
async function giveUp({ connectionString, signal, report }: Conversion, table: string): Promise<void> {
  try {
    await withConnection(connectionString, async (db) => {
      if ((await readLayout(db)).kind === 'tree') return
      if (!(await readFacts(db)).constraints.some(({ name }) => name === NOT_ERA)) return
      const lock = { table, mode: 'ACCESS EXCLUSIVE' } as const
      const attempt = await new BriefTransactions(db, signal).cleanUp([lock], async () => {
        await db.query(dropNotEra(table))
      })
      if (!attempt.locked) throw new Error('other sessions hold the table')
    })
  } catch (error) {
    report(
      'problem',
      `The CHECK ${NOT_ERA} of ${table} could not be dropped (${(error as Error).message}): until it is dropped, sinks pause at events whose ids it refuses. Run this again, or ALTER TABLE ${table} DROP CONSTRAINT ${NOT_ERA};`,
    )
  }
}

/** The leaves, and statistics of the whole. */
async function finish(run: Conversion): Promise<void> {
  const { db, report } = run
  const tree = await readLayout(db)
  if (tree.kind !== 'tree') return
  const nowMs = await run.now()
  const clocks = { isRehearsal: true } // nothing is deleted
  const say = ({ kind, text }: Action): void => report(kind === 'problem' ? 'problem' : 'done', text)
  const steps = { ...run, tree, nowMs, clocks, report: say }
  await makeAhead(steps)
  await analyzeTree(steps)
}

function iso(ms: number): string {
  return new Date(ms).toISOString()
}
