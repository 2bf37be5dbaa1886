import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'
import { connect } from '../../postgres/connect.ts'
import { RANGES_AHEAD, UNIT_MS } from '../../postgres/partitions/ranges.ts'
import { readLayout } from '../../postgres/partitions/tree.ts'
import { eventOf, openRun } from '../load/events.ts'
import { ask } from '../stack/ask.ts'
import { authorization } from './drill-key.ts'
import { seededRandom } from './plan.ts'
import type { Scene, Strike } from './scene.ts'
import type { Stage } from './stage.ts'

/*
 * Maintenance that is killed or frozen. Time is made to pass by --now: each of these faults is some days later than the one
 * before, and retention is as long, so that it ends when the drill began. So there are always leaves to make, to close and
 * to drop, but nothing that the drill has sent may go.
 */

/** How much later each run is than the one before. */
const DAYS = 3
/** Events whose ids are of yesterday, and as many of a day that has no leaf yet. */
const EVENTS = 50
/** As many days later leaves are certainly missing. */
const FAR_DAYS = 20
/** The latest moment of a run at which it is interrupted; alone, it ends soon after. */
const LATEST_MS = { alone: 700, besideReader: 3_000 }
/** How often a run is begun that ends before it is interrupted; how often to finish what was left. */
const TRIES = 5
/** Longer than a run waits for locks. */
const RUN_LIMIT_MS = 150_000

/** A run of `firehose maintain` on its way. */
export interface MaintenanceRun {
  kill(): Promise<unknown>
  freeze(): Promise<void>
  thaw(): Promise<void> | void
  isFrozen(): Promise<boolean> | boolean
  ended: Promise<MaintenanceEnd>
}

interface MaintenanceEnd {
  /** Null, or above 128 if it is a container's, if a signal ended it. */
  code: number | null
  /** The end of what it said. */
  text: string
}

/** Starts `firehose maintain` with these arguments and settings. */
export type StartMaintenance = (
  args: readonly string[],
  env: Readonly<Record<string, string>>,
) => Promise<MaintenanceRun>

export const maintainKilled: Strike = async (scene) => await interrupted(scene, killRun)

export const maintainFrozen: Strike = async (scene) =>
  await interrupted(scene, async (run) => await freezeRun(run, scene.stage.times.long))

/** @returns what became of it; undefined if it had ended before */
export async function killRun(run: MaintenanceRun): Promise<string | undefined> {
  await run.kill()
  const { code } = await run.ended
  return code === null || code > 128 ? 'was killed' : undefined
}

/** Perhaps it holds locks then. @returns as killRun() */
export async function freezeRun(run: MaintenanceRun, forMs: number): Promise<string | undefined> {
  await run.freeze()
  const isFrozen = await run.isFrozen()
  if (isFrozen) await delay(forMs)
  await run.thaw()
  return isFrozen ? `was frozen for ${forMs} ms` : undefined
}

/** @param interrupt returns what became of the run; undefined if it had ended before */
async function interrupted(
  scene: Scene,
  interrupt: (run: MaintenanceRun) => Promise<string | undefined>,
): Promise<string | undefined> {
  const { stage, fault } = scene
  const random = seededRandom(fault.index)
  const isBesideReader = random() < 0.5
  await finish(stage, runAt(stage.sinceMs - UNIT_MS.day)) // makes yesterday's leaf again
  for (const days of [-1, FAR_DAYS]) await storeEvents(scene, stage.sinceMs + days * UNIT_MS.day)
  const reader = isBesideReader ? await openReader(stage) : undefined
  /** So that a run gets its locks. */
  const release = async (): Promise<void> => {
    scene.endHold()
    await reader?.end()
  }
  try {
    await scene.moment()
    for (let n = 0; n < TRIES; n++) {
      const later = await nextRun(stage)
      const afterMs = Math.round(random() * LATEST_MS[isBesideReader ? 'besideReader' : 'alone'])
      const what = await oneRun(scene, later, async (run) => {
        await scene.pause(afterMs)
        const became = await interrupt(run)
        await release()
        return became
      })
      await release()
      await finish(stage, later)
      const beside = isBesideReader ? ', beside a SELECT of all leaves' : ''
      if (what !== undefined) return `maintain ${what}, ${afterMs} ms after it began${beside}`
    }
    return undefined
  } finally {
    await release()
  }
}

/** The arguments and settings of a run. */
interface Run {
  args: readonly string[]
  env: Readonly<Record<string, string>>
}

function runAt(nowMs: number): Run {
  return { args: ['--now', new Date(nowMs).toISOString()], env: {} }
}

/** Some days after the run before, with a retention until the drill began. */
async function nextRun({ databaseUrl, sinceMs }: Stage): Promise<Run> {
  const db = await connect(databaseUrl, () => ({}))
  const layout = await readLayout(db)
  await db.end()
  return runAfter(layout.kind === 'tree' ? (layout.leaves.at(-1)?.toMs ?? 0) : 0, sinceMs)
}

/** @param newestMs the end of the newest leaf. Pure. */
export function runAfter(newestMs: number, sinceMs: number): Run {
  const ahead = Math.floor((newestMs - sinceMs) / UNIT_MS.day)
  const days = ahead - RANGES_AHEAD.day + DAYS
  const { args } = runAt(sinceMs + days * UNIT_MS.day)
  return { args: [...args, '--yes'], env: { EVENTS_RETENTION_DAYS: String(days) } }
}

/** Starts a run, and does the work as soon as it has begun. @returns what the work returns; undefined if it did not begin */
async function oneRun<T>(
  scene: Scene,
  { args, env }: Run,
  work: (run: MaintenanceRun) => Promise<T | undefined>,
): Promise<T | undefined> {
  const run = await scene.stage.startMaintenance(args, env)
  try {
    const hasEnded = run.ended.then(() => undefined)
    const begins = scene.poll(async () => ((await isMaintained(scene.stage)) ? true : undefined))
    return (await Promise.race([begins, hasEnded])) && (await work(run))
  } finally {
    await run.thaw()
    await endOf(run)
  }
}

/** Runs until all is done. @throws if it is not after some runs */
async function finish({ startMaintenance }: Stage, { args, env }: Run): Promise<void> {
  let said = ''
  for (let n = 0; n < TRIES; n++) {
    const { code, text } = await endOf(await startMaintenance(args, env))
    if (code === 0) return
    said = `${code}: ${text}`
  }
  throw new Error(`maintain does not end with 0, but with ${said}`)
}

async function endOf(run: MaintenanceRun): Promise<MaintenanceEnd> {
  const limit = setTimeout(() => void run.kill(), RUN_LIMIT_MS)
  try {
    return await run.ended
  } finally {
    clearTimeout(limit)
  }
}

async function isMaintained({ databaseUrl }: Stage): Promise<boolean> {
  const sql = "SELECT FROM pg_stat_activity WHERE application_name = 'firehose-maintain-turn'"
  return (await ask(databaseUrl, sql)).length > 0
}

/** Sends events with ids of that time, and waits until they are stored (verify says later whether all are). */
async function storeEvents(scene: Scene, atMs: number): Promise<void> {
  const { stage, fault, signal } = scene
  const run = openRun({ seed: `maintenance ${fault.index}`, startedAtMs: atMs })
  const events = Array.from({ length: EVENTS }, (_, n) => eventOf(run, n))
  await fetch(`http://127.0.0.1:${stage.httpProxy.port}/events`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...authorization(stage.key) },
    body: `[${events.map(({ body }) => body).join(',')}]`,
    signal,
  })
  const ids = events.map(({ eventId }) => eventId)
  await scene.poll(async () => {
    const sql = 'SELECT FROM events WHERE event_id = ANY($1::uuid[])'
    return (await ask(stage.databaseUrl, sql, { values: [ids] })).length === EVENTS ? true : undefined
  })
}

/** A transaction that goes on reading `events`, with a lock on each leaf. */
async function openReader({ databaseUrl }: Stage): Promise<pg.Client> {
  const reader = new pg.Client({ connectionString: databaseUrl })
  reader.on('error', () => {})
  await reader.connect()
  await reader.query('BEGIN; DECLARE reader CURSOR FOR SELECT * FROM events; FETCH 1 FROM reader')
  return reader
}
