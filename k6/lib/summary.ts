import type { Run } from './event.ts'
import { type Report, REPORT_MARK } from './report.ts'
import { apiUrl } from './settings.ts'
import { STATUSES } from './statuses.ts'

/** The argument of handleSummary, as far as it is used here. */
export interface SummaryData {
  metrics: {
    [name: string]: {
      values: { [figure: string]: number }
      thresholds?: { [source: string]: { ok: boolean } }
    }
  }
  state: { testRunDurationMs: number }
  setup_data?: Run
}

/** A script's additions to the common summary. */
export interface Outline {
  script: string
  /** A description of the load. */
  title: string
  batch?: number
  /** Requests per second, and for how long; omitted for a closed loop. */
  rate?: number
  seconds?: number
  /** Seconds before that, in which nothing counted is sent. */
  startS?: number
  /** For each part, the metric that counts its requests and the number of its first event. */
  parts?: { metric: string; first: number }[]
  /** The metric of the latency. */
  duration?: string
  /** The script's own lines. */
  more?: string[]
  /** Descriptions of other thresholds that were not met. */
  broken?: string[]
}

/** A value of a metric; 0 if k6 has none. */
export function figure(data: SummaryData, metric: string, name: string): number {
  return data.metrics[metric]?.values[name] ?? 0
}

/** Formats milliseconds. */
export function ms(value: number): string {
  return `${value.toFixed(value < 100 ? 1 : 0)} ms`
}

/** Formats a count with thousands separators. */
export function grouped(value: number): string {
  return String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, ',')
}

/**
 * Requests that were due and neither sent nor dropped: k6 was late and at the end silently discards the rest. Up to one
 * percent is tolerated, for those of the last moment.
 */
export function forgotten(planned: number, sent: number, dropped: number): number {
  const missing = Math.round(planned - sent - dropped)
  return missing > planned / 100 ? missing : 0
}

/** The result of handleSummary: a table, and the report if the runner asks for it. */
export function summary(data: SummaryData, outline: Outline): { [stream: string]: string } {
  const report = reportOf(data, outline)
  return {
    stdout: `${table(data, outline, report)}\n`,
    ...(__ENV.REPORT ? { stderr: `${REPORT_MARK}${JSON.stringify(report)}\n` } : {}),
  }
}

function reportOf(data: SummaryData, outline: Outline): Report {
  const parts = (outline.parts ?? [{ metric: 'iterations', first: 0 }]).map(({ metric, first }) => ({
    first,
    requests: figure(data, metric, 'count'),
  }))
  const dropped = figure(data, 'dropped_iterations', 'count')
  const sent = parts.reduce((sum, { requests }) => sum + requests, 0)
  const late = forgotten(plannedOf(data, outline), sent, dropped)
  const tooSlow = `k6 itself was too slow: it did not send ${grouped(late)} requests that were due`
  return {
    run: data.setup_data ?? { start_ms: 0, random: 0 },
    batch: outline.batch ?? 1,
    parts,
    failed: failures(data).reduce((sum, [, count]) => sum + count, 0),
    dropped,
    broken: [...brokenThresholds(data), ...(late > 0 ? [tooSlow] : []), ...(outline.broken ?? [])],
  }
}

/** The requests due until the end of the run, which may have been stopped early. */
function plannedOf(data: SummaryData, { rate = 0, seconds = 0, startS = 0 }: Outline): number {
  return rate * Math.min(seconds, Math.max(0, runSeconds(data) - startS))
}

function runSeconds({ state }: SummaryData): number {
  return state.testRunDurationMs / 1000
}

function failures(data: SummaryData): [status: string, count: number][] {
  return [...STATUSES, 'other']
    .map((status): [string, number] => [
      status === 0 ? 'no answer' : String(status),
      figure(data, `not_acknowledged_${status}`, 'count'),
    ])
    .filter(([, count]) => count > 0)
}

function brokenThresholds(data: SummaryData): string[] {
  return Object.entries(data.metrics).flatMap(([metric, { values, thresholds = {} }]) =>
    Object.entries(thresholds)
      .filter(([, { ok }]) => !ok)
      .map(([source]) => {
        const value = values[/^[^<>=!]+/.exec(source)?.[0] ?? ''] ?? 0
        return `${metric} ${source}, but it was ${Number.isInteger(value) ? grouped(value) : value.toFixed(value < 1 ? 4 : 1)}`
      }),
  )
}

function table(data: SummaryData, outline: Outline, report: Report): string {
  const duration = outline.duration ?? 'http_req_duration'
  const requests = report.parts.reduce((sum, part) => sum + part.requests, 0)
  const perSecond = requests / (runSeconds(data) - (outline.startS ?? 0))
  const events = (count: number) =>
    `${grouped(count)}${report.batch > 1 ? ` requests of ${report.batch} events` : ''}`
  const failed = failures(data).map(([status, count]) => `, ${status}: ${grouped(count)}`)
  const rows: [string, string][] = [
    ['sent', `${events(requests)}, ${grouped(perSecond)}/s`],
    ['acknowledged', events(requests - report.failed)],
    ['not acknowledged', `${grouped(report.failed)}${failed.join('')}`],
    ['dropped', `${grouped(report.dropped)}${report.dropped > 0 ? ': no VU was free in time' : ''}`],
    ['latency p50 / p90', `${ms(figure(data, duration, 'med'))} / ${ms(figure(data, duration, 'p(90)'))}`],
    ['latency p99 / max', `${ms(figure(data, duration, 'p(99)'))} / ${ms(figure(data, duration, 'max'))}`],
    ['VUs', `at most ${figure(data, 'vus', 'max')} of ${figure(data, 'vus_max', 'max')} busy`],
  ]
  const lines = rows.map(([name, value]) => `  ${name.padEnd(20)}${value}`)
  // The runner prints these at its own end.
  const verdict = __ENV.REPORT ? [] : report.broken.map((what) => `  THRESHOLD FAILED  ${what}`)
  return [
    '',
    `${outline.script}: ${outline.title}, to ${apiUrl}`,
    ...lines,
    ...(outline.more ?? []),
    ...verdict,
  ].join('\n')
}
