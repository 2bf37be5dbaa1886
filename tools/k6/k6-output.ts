import { type Report, REPORT_MARK } from '../../k6/lib/report.ts'

/** A request that was not answered 202: its events may be stored or not. */
export interface NotAcknowledged {
  /** Number of its first event. */
  n: number
  /** Number of events in the request. */
  count: number
}

const FAILURES_SHOWN = 5
const FAILURE = /^not-acknowledged n=(\d+) count=(\d+) id=\S+ status=(\d+) /
const LOG_LINE = /^time="[^"]*" level=(\w+) msg=("(?:[^"\\]|\\.)*"|\S+)(.*)$/
const PROGRESS = /^running \(.* (\d+) complete and (\d+) interrupted iterations/
/** A scenario's line: name, mark, progress bar. */
const SCENARIO = /^\S+\s+[^[\]]{0,4}\[.*\]/

/** Reads k6's output line by line (pure): keeps what is meant for the runner, passes on what is meant for people. */
export class K6Output {
  readonly notAcknowledged: NotAcknowledged[] = []
  report: Report | undefined
  /** Iterations of all scenarios that k6 interrupted when it was stopped early. */
  interrupted = 0
  /** The statuses of the answers that were not 202; 0: no answer. */
  readonly statuses = new Set<string>()
  #isRunning = false
  #isSummary = false

  /** Handles a line of stdout. @returns a line to show, a progress line that replaces the previous one, or neither */
  out(line: string): { show?: string; progress?: string } {
    const progress = PROGRESS.exec(line)
    if (progress !== null) {
      this.#isRunning = true
      this.interrupted = Number(progress[2])
      return this.#isSummary ? {} : { progress: line }
    }
    // Skips k6's banner and settings, and later the blank lines and bars between the figures.
    if (!this.#isRunning || SCENARIO.test(line) || (line === '' && !this.#isSummary)) return {}
    this.#isSummary = true
    return { show: line }
  }

  /** Handles a line of stderr. @returns what to show of it */
  err(line: string): string | undefined {
    if (line.startsWith(REPORT_MARK)) {
      this.report = JSON.parse(line.slice(REPORT_MARK.length)) as Report
      return undefined
    }
    const [, , quoted = '', rest = ''] = LOG_LINE.exec(line) ?? []
    const message = quoted.startsWith('"') ? unquote(quoted) : quoted
    const failure = FAILURE.exec(message)
    if (failure === null) return rest.includes('source=console') ? message : line
    this.notAcknowledged.push({ n: Number(failure[1]), count: Number(failure[2]) })
    this.statuses.add(failure[3] ?? '')
    const seen = this.notAcknowledged.length
    if (seen > FAILURES_SHOWN) return undefined
    return seen === FAILURES_SHOWN ? `${message}\n(further failures are counted but not shown)` : message
  }
}

/** k6 quotes strings as Go does, which is the same as JSON except for control characters. */
function unquote(quoted: string): string {
  try {
    return JSON.parse(quoted) as string
  } catch {
    return quoted.slice(1, -1)
  }
}
