import { setTimeout as delay } from 'node:timers/promises'
import { load } from '../load/load.ts'
import type { Verdict } from '../verify/verify.ts'
import type { StageName } from './drill.ts'
import { strike } from './faults.ts'
import type { Fault } from './plan.ts'
import { countEvents, recovered, type Stage } from './stage.ts'

/** The outcome of one fault. */
export interface FaultReport extends Fault {
  /** Undefined if no effect was observed; the fault then does not count. */
  evidence?: string | undefined
  /** Time from the end of the fault until both sinks stored new events again; null if they did not. */
  recovered_ms: number | null
  /** Why it was not possible on this machine; nothing was done. */
  skipped?: string
  /** Why it could not be injected or undone, or the stack did not recover. */
  problem?: string
}

/** A series of faults under one load, and the comparison after them. */
export interface Stretch extends Figures {
  stage: StageName
  seed: number
  /** Ends with a fault from which the stack did not recover, if there was one. */
  faults: FaultReport[]
  /** Where the stack's data are kept, if something was wrong. */
  kept?: string
  /** The commit of the tested code, if git is available. */
  commit?: string | undefined
}

interface Figures {
  /** Acknowledged events of this load. */
  acked: number
  /** These four count the events of all loads of this stack so far. */
  records: number
  stored: number
  lost: number
  twice: number
  /** Other problems, because of which it is not proved that nothing was lost. */
  problems: string[]
}

export interface StretchOptions {
  stage: StageName
  seed: number
  /** Events per second. */
  rate: number
  /** Receives progress messages. */
  onLog: (line: string) => void
  onFault?: (report: FaultReport) => void
  signal: AbortSignal
}

const CONNECTIONS = 20
const CLIENT_TIMEOUT_MS = 3_000
const VERIFY_LIMIT_MS = 300_000

/**
 * Injects the faults under load, then compares. Any failure is a problem of the stretch. After a fault from which the
 * stack does not recover, the remaining faults are skipped.
 *
 * @throws the signal's reason
 */
export async function runStretch(
  stage: Stage,
  faults: readonly Fault[],
  options: StretchOptions,
): Promise<Stretch> {
  const { stage: name, seed, rate, signal } = options
  const ackedFile = stage.path(`acked-${faults[0]?.index}.tsv`)
  const stopLoad = new AbortController()
  const loading = load({
    url: `http://127.0.0.1:${stage.httpProxy.port}`,
    ...(stage.key === undefined ? {} : { key: stage.key }),
    rate,
    connections: CONNECTIONS,
    seconds: 24 * 3600, // until we stop it
    timeoutMs: CLIENT_TIMEOUT_MS,
    shapes: 'bigint',
    seed: `drill ${seed} from ${faults[0]?.index}`,
    retry: true,
    ackedFile,
    signal: stopLoad.signal,
  })
  loading.catch(() => {}) // awaited later
  const reports: FaultReport[] = []
  const problems: string[] = []
  const attempt = async (what: string, step: () => Promise<void>) => {
    try {
      await step()
    } catch (error) {
      signal.throwIfAborted()
      problems.push(`${what}: ${(error as Error).message}`)
    }
  }
  let figures: Figures = { acked: 0, records: 0, stored: 0, lost: 0, twice: 0, problems: [] }
  try {
    await attempt('before the first fault', async () => void (await recovered(stage, signal)))
    if (problems.length === 0) reports.push(...(await playFaults(stage, faults, options)))
  } finally {
    stopLoad.abort()
    await attempt('the load failed', async () => {
      const { acked, errors } = await loading
      figures.acked = acked
      problems.push(...unauthorized(errors))
    })
  }
  problems.push(...reports.flatMap(problemOf))
  await attempt('after the last fault', async () => await caughtUp(stage, signal))
  await attempt('acknowledged events could not be compared', async () => {
    figures = await compare(stage, ackedFile, figures.acked)
  })
  const stretch = {
    stage: name,
    seed,
    faults: reports,
    ...figures,
    problems: [...problems, ...figures.problems],
  }
  return isClean(stretch) ? stretch : { ...stretch, kept: stage.data }
}

/** Whether everything was compared and there was no problem. */
export function isClean({ lost, twice, problems }: Stretch): boolean {
  return lost === 0 && twice === 0 && problems.length === 0
}

async function playFaults(
  stage: Stage,
  faults: readonly Fault[],
  { onLog, onFault, signal }: StretchOptions,
): Promise<FaultReport[]> {
  const reports: FaultReport[] = []
  for (const fault of faults) {
    onLog(`${fault.kind} ${fault.moment} ...`)
    const report = await playFault(stage, fault, signal)
    reports.push(report)
    onFault?.(report)
    if (report.problem !== undefined) break
  }
  return reports
}

async function playFault(stage: Stage, fault: Fault, signal: AbortSignal): Promise<FaultReport> {
  const skipped = stage.unplayable[fault.kind]
  if (skipped !== undefined) return { ...fault, recovered_ms: null, skipped }
  let evidence: string | undefined
  try {
    evidence = await strike(stage, fault, signal)
    return { ...fault, evidence, recovered_ms: Math.round(await recovered(stage, signal)) }
  } catch (error) {
    signal.throwIfAborted()
    return { ...fault, evidence, recovered_ms: null, problem: (error as Error).message }
  }
}

function problemOf({ index, kind, moment, problem }: FaultReport): string[] {
  return problem === undefined ? [] : [`fault ${index + 1}, ${kind} ${moment}: ${problem}`]
}

/** What the load was refused because of its key, which is valid all the time. Pure. */
export function unauthorized(errors: Readonly<Record<string, number>>): string[] {
  return ['401', '403'].flatMap((status) => {
    const events = errors[status]
    return events === undefined ? [] : [`the API answered ${events} events with ${status}`]
  })
}

async function caughtUp(stage: Stage, signal: AbortSignal): Promise<void> {
  const endMs = performance.now() + stage.recoveryLimitMs
  while (!(await within(stage.recoveryLimitMs, stage.isCaughtUp()))) {
    if (performance.now() > endMs) throw new Error(`not caught up after ${stage.recoveryLimitMs / 1000} s`)
    await delay(100, undefined, { signal })
  }
}

async function compare(stage: Stage, ackedFile: string, acked: number): Promise<Figures> {
  const verdict = await within(VERIFY_LIMIT_MS, stage.verify(ackedFile))
  return judge(verdict, acked, await countEvents(stage.databaseUrl))
}

/** A time limit, because PostgreSQL or Kafka may be frozen after a fault that could not be undone. @throws after it */
async function within<T>(limitMs: number, answer: Promise<T>): Promise<T> {
  const limit = delay(limitMs, undefined, { ref: false }).then(() => {
    throw new Error(`no answer within ${limitMs / 1000} s`)
  })
  return await Promise.race([answer, limit])
}

/** All events of the load are valid, so a dead letter counts as lost, and so does a changed row: nobody changes one. Every row must have a record in Kafka. */
export function judge(verdict: Verdict, acked: number, rows: number): Figures {
  const problems = [...verdict.problems]
  const known =
    verdict.acked_stored + verdict.acked_missing_count + verdict.acked_different_count + verdict.acked_dead
  if (verdict.acked !== acked)
    problems.push(`the client counted ${acked} acknowledged events and wrote ${verdict.acked}`)
  if (known !== verdict.acked) problems.push(`${verdict.acked - known} acknowledged events were not checked`)
  if (verdict.not_yet_read > 0) problems.push(`${verdict.not_yet_read} records were not read`)
  return {
    acked,
    records: verdict.records,
    stored: verdict.stored,
    lost:
      verdict.missing_count +
      verdict.different_count +
      verdict.changed +
      verdict.acked_missing_count +
      verdict.acked_different_count +
      verdict.dead,
    twice: Math.max(0, rows - verdict.stored),
    problems,
  }
}
