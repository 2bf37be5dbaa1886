import { setTimeout as delay } from 'node:timers/promises'
import { load } from '../load.ts'
import type { Verdict } from '../verify.ts'
import { startComposeStage } from './compose-stage.ts'
import { startEmbeddedStage } from './embedded-stage.ts'
import { strike } from './faults.ts'
import { type Fault, plan } from './plan.ts'
import { countEvents, recovered, type Stage } from './stage.ts'

/** What became of one fault. */
export interface FaultReport extends Fault {
  /** Undefined: nothing was observed of it, so it does not count. */
  evidence: string | undefined
  /** From the end of the fault until new events went all the way by both sinks again. */
  recovered_ms: number
}

/** Some faults under one load, and the comparison after them. */
export interface Stretch {
  stage: StageName
  seed: number
  faults: FaultReport[]
  /** Events of this load that were acknowledged. */
  acked: number
  /** Of all loads of this stack so far: what Kafka holds, and what became of it. */
  records: number
  stored: number
  lost: number
  twice: number
  problems: string[]
}

export interface DrillOptions {
  stage: StageName
  seed: number
  /** Faults of the seed's plan that are to be run: from (included) and to (excluded). */
  from: number
  to: number
  /** Events a second. */
  rate: number
  /** Takes what is under way: a start, a fault. */
  onLog: (line: string) => void
  onFault?: (report: FaultReport) => void
  /** Called after each comparison; what came before it is done for good. */
  onStretch: (stretch: Stretch) => void
  signal: AbortSignal
}

type StartOptions = Pick<DrillOptions, 'onLog' | 'signal'>

const STAGES = {
  embedded: async (): Promise<Stage> => await startEmbeddedStage(),
  compose: async ({ onLog, signal }: StartOptions): Promise<Stage> => await startComposeStage(onLog, signal),
}

/** Child processes, or the containers of docker-compose.yml. */
export type StageName = keyof typeof STAGES

const STRETCH_FAULTS = 20
const CONNECTIONS = 20
const CLIENT_TIMEOUT_MS = 3_000
const CATCH_UP_LIMIT_MS = 120_000

/**
 * Runs a part of a seed's plan on a stack of its own: nothing else is ever broken.
 *
 * @throws when the stack does not recover from a fault; the signal's reason
 */
export async function drill(options: DrillOptions): Promise<void> {
  const { seed, from, to, signal } = options
  const stage = await STAGES[options.stage](options)
  try {
    const faults = plan(seed, to, stage.kinds).slice(from)
    for (let first = 0; first < faults.length; first += STRETCH_FAULTS) {
      signal.throwIfAborted()
      options.onStretch(await runStretch(stage, faults.slice(first, first + STRETCH_FAULTS), options))
    }
  } finally {
    await stage.close()
  }
}

async function runStretch(stage: Stage, faults: readonly Fault[], options: DrillOptions): Promise<Stretch> {
  const { stage: name, seed, rate, signal } = options
  const ackedFile = stage.path(`acked-${faults[0]?.index}.tsv`)
  const stopLoad = new AbortController()
  const loading = load({
    url: `http://127.0.0.1:${stage.httpProxy.port}`,
    rate,
    connections: CONNECTIONS,
    seconds: 24 * 3600, // ended by us
    timeoutMs: CLIENT_TIMEOUT_MS,
    retry: true,
    ackedFile,
    signal: stopLoad.signal,
  })
  const reports: FaultReport[] = []
  try {
    await recovered(stage, signal)
    for (const fault of faults) {
      options.onLog(`${fault.kind} ${fault.moment} ...`)
      const report = await runFault(stage, fault, signal)
      reports.push(report)
      options.onFault?.(report)
    }
  } finally {
    stopLoad.abort()
    await loading
  }
  const { acked } = await loading
  await caughtUp(stage, signal)
  const verdict = await stage.verify(ackedFile)
  const rows = await countEvents(stage.databaseUrl)
  return { stage: name, seed, faults: reports, ...judge(verdict, acked, rows) }
}

/** @throws with the fault's name, when it could not be done or undone */
async function runFault(stage: Stage, fault: Fault, signal: AbortSignal): Promise<FaultReport> {
  try {
    const evidence = await strike(stage, fault, signal)
    return { ...fault, evidence, recovered_ms: Math.round(await recovered(stage, signal)) }
  } catch (cause) {
    const { index, kind, moment } = fault
    throw new Error(`fault ${index + 1}, ${kind} ${moment}: ${(cause as Error).message}`, { cause })
  }
}

async function caughtUp(stage: Stage, signal: AbortSignal): Promise<void> {
  const endMs = performance.now() + CATCH_UP_LIMIT_MS
  while (!(await stage.isCaughtUp())) {
    if (performance.now() > endMs) throw new Error(`not caught up after ${CATCH_UP_LIMIT_MS / 1000} s`)
    await delay(100, undefined, { signal })
  }
}

/** All events of the load are valid, so a dead letter is a loss, too; what has a row has a record in Kafka. */
export function judge(
  verdict: Verdict,
  acked: number,
  rows: number,
): Omit<Stretch, 'stage' | 'seed' | 'faults'> {
  const problems = [...verdict.problems]
  const known =
    verdict.acked_stored + verdict.acked_missing_count + verdict.acked_different_count + verdict.acked_dead
  if (verdict.acked !== acked)
    problems.push(`the client counted ${acked} acknowledged events and wrote ${verdict.acked}`)
  if (known !== verdict.acked)
    problems.push(`${verdict.acked - known} acknowledged events were not looked at`)
  if (verdict.not_yet_read > 0) problems.push(`${verdict.not_yet_read} records were not read`)
  return {
    acked,
    records: verdict.records,
    stored: verdict.stored,
    lost:
      verdict.missing_count +
      verdict.different_count +
      verdict.acked_missing_count +
      verdict.acked_different_count +
      verdict.dead,
    twice: Math.max(0, rows - verdict.stored),
    problems,
  }
}
