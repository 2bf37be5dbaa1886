import { sleep } from 'k6'
import http, { type RefinedResponse } from 'k6/http'
import { Gauge, Rate, Trend } from 'k6/metrics'
import { apiOpsUrl } from './settings.ts'

/** Before the sink first paused, while it could not store, and afterwards. */
export const PHASES = ['before', 'during', 'after'] as const
type Phase = (typeof PHASES)[number]

const sinkUrl = (__ENV.SINK_URL || 'http://127.0.0.1:8001').replace(/\/$/, '')
/** Excluded from http_req_failed: these are not requests of the load. (k6 accepts null; its types do not.) */
const quietly = { responseCallback: null as never, timeout: 2000, throw: true }
const PHASE_MS = 3000
const WATCH_S = 0.25

const all = new Trend('answer_ms')
const latency = {
  before: new Trend('before_ms'),
  during: new Trend('during_ms'),
  after: new Trend('after_ms'),
}
const acknowledged = {
  before: new Rate('before_acknowledged'),
  during: new Rate('during_acknowledged'),
  after: new Rate('after_acknowledged'),
}
const paused = new Gauge('sink_paused')
const pausedAt = new Gauge('paused_at_s')
const runningAt = new Gauge('running_at_s')
const lag = new Gauge('sink_lag')
const backlog = new Gauge('backlog')

interface ApiHealth {
  total_accepted: number
}
interface SinkHealth {
  state: string
  reason?: string
  partitions: { lag: number }[]
  total_stored: number
  total_duplicates: number
  total_dead: number
}

/** State of this VU. */
let phase: Phase = 'before'
let askedMs = 0

/** @throws if the sink does not answer, because then every phase would be "during" */
export function checkSink(): void {
  if (get(`${sinkUrl}/livez`) === undefined) {
    throw new Error(`The sink does not answer on ${sinkUrl}: set SINK_URL (with npx firehose k6: --sink)`)
  }
}

/** The phase as seen by this VU: VUs share no memory, so each polls the sink itself. */
export function phaseNow(): Phase {
  const now = Date.now()
  if (now - askedMs < PHASE_MS) return phase
  askedMs = now
  if (get(`${sinkUrl}/readyz`)?.status !== 200) phase = 'during'
  else if (phase === 'during') phase = 'after'
  return phase
}

/** Adds a response to the statistics of its phase. */
export function record(of: Phase, answer: RefinedResponse<'text'> | undefined): void {
  const isAccepted = answer?.status === 202
  acknowledged[of].add(isAccepted)
  if (!isAccepted) return
  all.add(answer.timings.duration)
  latency[of].add(answer.timings.duration)
}

/** State of the VU that watches the services. */
let wasPaused = false
let before: number | undefined

/** Observes both services once, then pauses briefly. */
export function watch(elapsedS: number): void {
  const sink = healthOf(sinkUrl) as SinkHealth | undefined
  const isPaused = sink?.state !== 'running'
  if (isPaused !== wasPaused) {
    const why = sink === undefined ? 'the sink does not answer' : (sink.reason ?? '')
    console.info(`${elapsedS.toFixed(1)} s: the sink ${isPaused ? `cannot store: ${why}` : 'stores again'}`)
    ;(isPaused ? pausedAt : runningAt).add(elapsedS)
    wasPaused = isPaused
  }
  paused.add(isPaused ? 1 : 0)
  const api = healthOf(apiOpsUrl) as ApiHealth | undefined
  if (sink !== undefined) lag.add(sink.partitions.reduce((sum, partition) => sum + partition.lag, 0))
  if (sink !== undefined && api !== undefined) {
    // The sink's own lag is that of its last fetch, so it does not change while the sink waits for the database.
    const waiting = api.total_accepted - sink.total_stored - sink.total_duplicates - sink.total_dead
    before ??= waiting
    backlog.add(Math.max(0, waiting - before))
  }
  sleep(WATCH_S)
}

function healthOf(url: string): unknown {
  const answer = get(`${url}/health`)
  return answer?.status === 200 ? answer.json() : undefined
}

/** The response, if there is one. */
function get(url: string): RefinedResponse<'text'> | undefined {
  try {
    return http.get(url, quietly)
  } catch {
    return undefined
  }
}
