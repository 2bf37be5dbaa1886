import type { Policy } from '../../maintenance/maintenance.ts'
import { type RunResult, runOnce } from '../../maintenance/run.ts'
import { addressOf } from '../../tools/drill/stage.ts'
import { type Link, TcpProxy } from '../../tools/drill/tcp-proxy.ts'
import { scale } from './scale.ts'
import { type Point, POINTS, StatementPoints } from './statement-points.ts'

/** Maintenance of a database as if it were another day, by this process. */
export interface Rehearsal {
  connectionString: string
  policy: Policy
  nowMs?: number
}

/** A run to its end. @throws what it throws */
export async function rehearse(
  rehearsal: Rehearsal,
  signal = new AbortController().signal,
): Promise<RunResult> {
  return await runOnce({ ...rehearsal, dryRun: false, report: () => {}, signal })
}

/** A run whose connection is held at a statement; the others go on. */
interface Held {
  link: Link
  proxy: TcpProxy
}

/**
 * Starts a run that is held at the first point of a statement that is wanted.
 *
 * @param run gets the connection string of a proxy, which the caller closes
 * @returns what holds it, or undefined if the run has ended
 */
export async function holdAt(
  connectionString: string,
  isWanted: (point: Point, statement: string) => boolean,
  run: (through: string) => Promise<unknown>,
): Promise<Held | undefined> {
  let isFound = false
  const tap = (): StatementPoints =>
    new StatementPoints((point, statement) => !isFound && (isFound = isWanted(point, statement)))
  const proxy = await TcpProxy.start(addressOf(connectionString), tap)
  const through = new URL(connectionString)
  through.port = String(proxy.port)
  const gaveUp = new AbortController()
  const held = proxy.holdAt('wanted', gaveUp.signal).catch(() => undefined)
  const ended = run(through.href).then(
    () => undefined,
    () => undefined,
  )
  const link = await Promise.race([held, ended])
  if (link !== undefined) return { link, proxy }
  gaveUp.abort()
  await proxy.close()
  return undefined
}

/** The same statement on another day, on other rows. */
function shapeOf(statement: string): string {
  return statement
    .replaceAll(/\/\*.*?\*\//g, '')
    .replaceAll(/'[^']*'/g, "'?'")
    .replaceAll(/\d+/g, '#')
    .replaceAll(/\s+/g, ' ')
}

/** What repeated runs did until one came to its end. */
export interface KilledRuns {
  kills: number
  /** Of the run that came to its end. */
  last: RunResult
}

/**
 * Runs again and again until a run comes to its end. Each of the others is killed at a point of a statement at which none
 * was killed before: all its connections break, and it makes no more.
 *
 * @param points only these
 * @throws what the run threw that was not killed
 */
export async function killAtEveryStatement(
  rehearsal: Rehearsal,
  points: readonly Point[] = POINTS,
): Promise<KilledRuns> {
  const killedAt = new Set<string>()
  for (;;) {
    const dies = new AbortController()
    let run: Promise<RunResult> | undefined
    const held = await holdAt(
      rehearsal.connectionString,
      (point, statement) => points.includes(point) && isNew(killedAt, `${point} ${shapeOf(statement)}`),
      async (through) => await (run = rehearse({ ...rehearsal, connectionString: through }, dies.signal)),
    )
    if (held === undefined) {
      const last = await run!
      // If it is busy, the session of the killed one has not ended yet.
      if (last.outcome === 'done') return { kills: killedAt.size, last }
      continue
    }
    dies.abort(new Error('killed'))
    await held.proxy.close()
    await run!.catch(() => {})
  }
}

/** Where a run is killed on a simulated day: at full size at all points, else at one, in turn, so that it takes a minute. */
export function pointsOf(day: number): readonly Point[] {
  return scale.full ? POINTS : [POINTS[day % POINTS.length]!]
}

function isNew(set: Set<string>, item: string): boolean {
  const isThere = set.has(item)
  set.add(item)
  return !isThere
}
