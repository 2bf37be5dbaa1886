import { setTimeout as delay } from 'node:timers/promises'
import { formatPartitions } from '../kafka/group-members.ts'

/** The services' /health; undefined if they do not answer. */
export interface Observation {
  atMs: number
  api: Record<string, unknown> | undefined
  sink: Record<string, unknown> | undefined
  databaseAnswers: boolean
}

/** The figures of the status line. Rates are per second since the previous observation; undefined if unknown. */
interface Status {
  acceptedPerS: number | undefined
  storedPerS: number | undefined
  lag: number | undefined
  database: 'up' | 'down'
  /** Why the sink is not storing events; empty if it is. */
  trouble: string
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
    storedPerS: rate(now.sink?.total_stored, before?.sink?.total_stored),
    lag: lagOf(now.sink),
    database: now.databaseAnswers ? 'up' : 'down',
    trouble: troubleOf(now.sink),
  }
}

function figure(value: number | undefined): string {
  return value?.toLocaleString('en-US') ?? '-'
}

/** The status line. */
function formatStatus({ acceptedPerS, storedPerS, lag, database, trouble }: Status): string {
  const figures = `accepted ${figure(acceptedPerS)}/s | lag ${figure(lag)} | stored ${figure(storedPerS)}/s`
  return `${figures} | database ${database}${trouble && ` | ${trouble}`}`
}

/**
 * Observes once a second until the signal aborts: passes every status line to `live`, and changes in the state of
 * the database or the sink to `say`.
 */
export async function watchStatus(
  observe: () => Promise<Observation>,
  live: (line: string) => void,
  say: (line: string) => void,
  signal: AbortSignal,
): Promise<void> {
  let before: Observation | undefined
  let shown = { database: 'up', trouble: '' }
  while (!signal.aborted) {
    const now = await observe()
    if (signal.aborted) return
    const status = statusOf(now, before)
    if (status.database !== shown.database) say(`Database ${status.database}`)
    if (status.trouble !== shown.trouble) say(status.trouble || 'Sink running')
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

/** One sink runs here, but its consumer group may have other members. */
function groupTroubleOf(group: unknown): string {
  const { id, unread_partitions: unread } = (group ?? {}) as { id?: unknown; unread_partitions?: unknown }
  if (!Array.isArray(unread) || unread.length === 0) return ''
  return `${formatPartitions(unread as number[])} read by no member of group ${String(id)}`
}

function troubleOf(sink: Record<string, unknown> | undefined): string {
  if (!sink) return 'sink does not answer'
  // A starting sink has no partitions yet; that is not a problem.
  if (sink.state === 'running' || sink.state === 'starting') return groupTroubleOf(sink.group)
  const reason = typeof sink.reason === 'string' && sink.reason ? `: ${sink.reason}` : ''
  return `sink ${String(sink.state)}${reason}`
}
