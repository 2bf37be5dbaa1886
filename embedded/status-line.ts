import { setTimeout as delay } from 'node:timers/promises'
import { formatPartitions } from '../kafka/group-members.ts'

const DLQ = 'npx firehose dlq list'

/** The services' /health; undefined if they do not answer. */
export interface Observation {
  atMs: number
  api: Record<string, unknown> | undefined
  sink: Record<string, unknown> | undefined
  maintain?: Record<string, unknown> | undefined
  databaseAnswers: boolean
}

/** The figures of the status line. Rates are per second since the previous observation; undefined if unknown. */
interface Status {
  acceptedPerS: number | undefined
  rejectedPerS: number | undefined
  storedPerS: number | undefined
  lag: number | undefined
  /** Since the sink was started. */
  deadLetters: number
  database: 'up' | 'down'
  /** Why the API does not accept events, usually Kafka; empty if it does. */
  apiTrouble: string
  /** Why the sink is not storing events; empty if it is. */
  sinkTrouble: string
  /** What maintenance could not do; empty if all is done, or if it does not answer: nothing depends on it. */
  maintainTrouble: string
}

/** Compares two observations (pure). A counter that decreased means that its service was restarted. */
function statusOf(now: Observation, before: Observation | undefined): Status {
  const seconds = before ? (now.atMs - before.atMs) / 1000 : 0
  const rate = (end: unknown, start: unknown) => {
    if (typeof end !== 'number' || typeof start !== 'number' || seconds <= 0) return undefined
    return Math.max(0, Math.round((end - start) / seconds))
  }
  return {
    acceptedPerS: rate(now.api?.total_accepted, before?.api?.total_accepted),
    rejectedPerS: rate(rejectedBy(now.api), rejectedBy(before?.api)),
    storedPerS: rate(now.sink?.total_stored, before?.sink?.total_stored),
    lag: lagOf(now.sink),
    database: now.databaseAnswers ? 'up' : 'down',
    deadLetters: Number(now.sink?.total_dead ?? 0),
    apiTrouble: apiTroubleOf(now.api),
    sinkTrouble: sinkTroubleOf(now.sink),
    maintainTrouble: now.databaseAnswers ? maintainTroubleOf(now.maintain) : '',
  }
}

function figure(value: number | undefined): string {
  return value?.toLocaleString('en-US') ?? '-'
}

/** The status line. What is usually zero or fine is left out. */
function formatStatus(status: Status): string {
  const { acceptedPerS, rejectedPerS = 0, storedPerS, lag, deadLetters, database } = status
  return [
    `accepted ${figure(acceptedPerS)}/s`,
    rejectedPerS > 0 ? `refused ${figure(rejectedPerS)}/s` : '',
    `lag ${figure(lag)}`,
    `stored ${figure(storedPerS)}/s`,
    deadLetters > 0 ? `dead letters ${figure(deadLetters)}` : '',
    `database ${database}`,
    status.apiTrouble,
    status.sinkTrouble,
    status.maintainTrouble,
  ]
    .filter((part) => part !== '')
    .join(' | ')
}

/**
 * Observes once a second until the signal aborts: passes every status line to `live`, and changes in the state of the
 * database and the services, and new dead letters, to `say`.
 */
export async function watchStatus(
  observe: () => Promise<Observation>,
  live: (line: string) => void,
  say: (line: string) => void,
  signal: AbortSignal,
): Promise<void> {
  let before: Observation | undefined
  let shown: Pick<Status, 'database' | 'deadLetters' | 'apiTrouble' | 'sinkTrouble' | 'maintainTrouble'> = {
    database: 'up',
    deadLetters: 0,
    apiTrouble: '',
    sinkTrouble: '',
    maintainTrouble: '',
  }
  while (!signal.aborted) {
    const now = await observe()
    if (signal.aborted) return
    const status = statusOf(now, before)
    if (status.database !== shown.database) say(`Database ${status.database}`)
    if (status.apiTrouble !== shown.apiTrouble) say(status.apiTrouble || 'API ready')
    if (status.sinkTrouble !== shown.sinkTrouble) say(status.sinkTrouble || 'Sink running')
    if (status.maintainTrouble !== shown.maintainTrouble) say(status.maintainTrouble || 'Maintenance goes on')
    if (status.deadLetters > shown.deadLetters) say(`New dead letters: ${DLQ}`)
    shown = status
    live(formatStatus(status))
    before = now
    await delay(1_000, undefined, { signal }).catch(() => {})
  }
}

function lagOf(sink: Record<string, unknown> | undefined): number | undefined {
  if (!Array.isArray(sink?.partitions)) return undefined
  let sum = 0
  for (const partition of sink.partitions as { lag?: unknown }[]) {
    // Offsets are 64 bits wide and may be strings.
    sum += Number(partition.lag ?? 0)
  }
  return Number.isFinite(sum) ? sum : undefined
}

function rejectedBy(api: Record<string, unknown> | undefined): number | undefined {
  if (typeof api?.total_rejected !== 'object' || api.total_rejected === null) return undefined
  return Object.values(api.total_rejected).reduce((sum: number, events) => sum + Number(events), 0)
}

function apiTroubleOf(api: Record<string, unknown> | undefined): string {
  if (!api) return 'API does not answer'
  return typeof api.reason === 'string' ? `API unavailable: ${api.reason}` : ''
}

/** One sink runs here, but its consumer group may have other members. */
function groupTroubleOf(group: unknown): string {
  const { id, unread_partitions: unread } = (group ?? {}) as { id?: unknown; unread_partitions?: unknown }
  if (!Array.isArray(unread) || unread.length === 0) return ''
  return `${formatPartitions(unread as number[])} read by no member of group ${String(id)}`
}

function sinkTroubleOf(sink: Record<string, unknown> | undefined): string {
  if (!sink) return 'sink does not answer'
  // A starting sink has no partitions yet; that is not a problem.
  if (sink.state === 'running' || sink.state === 'starting') return groupTroubleOf(sink.group)
  const reason = typeof sink.reason === 'string' && sink.reason ? `: ${sink.reason}` : ''
  return `sink ${String(sink.state)}${reason}`
}

function maintainTroubleOf(maintain: Record<string, unknown> | undefined): string {
  if (typeof maintain?.reason === 'string') return `maintenance failing: ${maintain.reason}`
  const { problems } = (maintain?.last_run ?? {}) as { problems?: unknown }
  if (!Array.isArray(problems) || problems.length === 0) return ''
  return `maintenance: ${problems.length === 1 ? String(problems[0]) : `${problems.length} problems (npx firehose maintain)`}`
}
