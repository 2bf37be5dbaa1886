import { type Report, REPORT_MARK } from '../../k6/lib/report.ts'

/** A request that was not answered 202. */
export interface NotAcknowledged {
  /** Number of its first event. */
  n: number
  /** Events of the request. */
  count: number
  /** The API said that it kept none of it; otherwise the events may be stored or not. */
  refused: boolean
}

const FAILURES_SHOWN = 5
const FAILURE = /^not-acknowledged n=(\d+) count=(\d+) id=\S+ status=(\d+) (.*)$/
const LOG_LINE = /^time="[^"]*" level=(\w+) msg=("(?:[^"\\]|\\.)*"|\S+)(.*)$/
const PROGRESS = /^running \(.* (\d+) complete and (\d+) interrupted iterations/
/** The line of a scenario below it: name, mark, bar. */
const SCENARIO = /^\S+\s+[^[\]]{0,4}\[.*\]/

/** Reads what k6 writes, line by line (pure): keeps what is for the runner, hands on what is for people. */
export class K6Output {
  readonly notAcknowledged: NotAcknowledged[] = []
  report: Report | undefined
  /** Iterations that k6 cut short when it was ended early, of all scenarios. */
  interrupted = 0
  #isRunning = false
  #isSummary = false

  /** A line of stdout: text to show, a text of progress that takes the place of the one before, or neither. */
  out(line: string): { show?: string; progress?: string } {
    const progress = PROGRESS.exec(line)
    if (progress !== null) {
      this.#isRunning = true
      this.interrupted = Number(progress[2])
      return this.#isSummary ? {} : { progress: line }
    }
    // First come k6's banner and its own words for the settings, later blank lines and bars between the figures.
    if (!this.#isRunning || SCENARIO.test(line) || (line === '' && !this.#isSummary)) return {}
    this.#isSummary = true
    return { show: line }
  }

  /** A line of stderr: what to show of it. */
  err(line: string): string | undefined {
    if (line.startsWith(REPORT_MARK)) {
      this.report = JSON.parse(line.slice(REPORT_MARK.length)) as Report
      return undefined
    }
    const [, , quoted = '', rest = ''] = LOG_LINE.exec(line) ?? []
    const message = quoted.startsWith('"') ? unquote(quoted) : quoted
    const failure = FAILURE.exec(message)
    if (failure === null) return rest.includes('source=console') ? message : line
    const [, n, count, status, why = ''] = failure
    this.notAcknowledged.push({
      n: Number(n),
      count: Number(count),
      refused: isRefusal(Number(status), why),
    })
    const seen = this.notAcknowledged.length
    if (seen > FAILURES_SHOWN) return undefined
    return seen === FAILURES_SHOWN ? `${message}\n(more of these are counted, not shown)` : message
  }
}

/** Whether the answer promises that nothing of the request was kept. */
function isRefusal(status: number, why: string): boolean {
  return (status >= 400 && status < 500) || why === 'not_accepted'
}

/** k6 quotes as Go does, which is JSON's way but for control characters. */
function unquote(quoted: string): string {
  try {
    return JSON.parse(quoted) as string
  } catch {
    return quoted.slice(1, -1)
  }
}
