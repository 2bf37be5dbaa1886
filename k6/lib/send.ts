import exec from 'k6/execution'
import http, { type RefinedResponse } from 'k6/http'
import { Counter } from 'k6/metrics'
import { EventMaker, newRun, type Run } from './event.ts'
import { notAcknowledged } from './report.ts'
import { apiUrl } from './settings.ts'

/** The statuses that are counted one by one; 0 is no answer. The summary reads the counters. */
export const STATUSES = [0, 200, 400, 404, 405, 408, 413, 415, 422, 429, 431, 500, 502, 503, 504]

// For k6, http_req_failed is everything but a 202.
http.setResponseCallback(http.expectedStatuses(202))

const failures = new Map(STATUSES.map((status) => [status, new Counter(`not_acknowledged_${status}`)]))
const otherFailures = new Counter('not_acknowledged_other')

/** Each VU's own. */
let maker: EventMaker | undefined
let scenario: typeof exec.scenario | undefined

/** k6 runs it once and hands what it returns to every VU. The runner may have named the run. */
export function setup(): Run {
  return newRun(__ENV.RUN_START || undefined, __ENV.RUN_RANDOM || undefined)
}

/** This iteration's number among those of its scenario, of all VUs. */
export function iteration(): number {
  scenario ??= exec.scenario // k6 makes a new object at each access
  return scenario.iterationInTest
}

/** Sends event `n` of the run to /event. */
export function postEvent(run: Run, n: number, timeoutS: number): RefinedResponse<'text'> | undefined {
  maker ??= new EventMaker(run)
  return post('/event', 'application/json', maker.body(n), maker, n, 1, timeoutS)
}

/** Sends `count` events of the run from number `n` to /events, as NDJSON. */
export function postEvents(run: Run, n: number, count: number, timeoutS: number): void {
  maker ??= new EventMaker(run)
  let body = ''
  for (let i = n; i < n + count; i++) body += `${maker.body(i)}\n`
  post('/events', 'application/x-ndjson', body, maker, n, count, timeoutS)
}

/** The answer, if there is one; whatever is not a 202 is reported with its id. */
function post(
  path: string,
  type: string,
  body: string,
  events: EventMaker,
  n: number,
  count: number,
  timeoutS: number,
): RefinedResponse<'text'> | undefined {
  const params = { headers: { 'Content-Type': type }, timeout: timeoutS * 1000, throw: true } as const
  let answer: RefinedResponse<'text'> | undefined
  let why = ''
  try {
    answer = http.post(apiUrl + path, body, params)
    if (answer.status === 202) return answer
    // "outcome" of a 503: whether it is known that the events were not kept.
    why = /"outcome" ?: ?"(\w+)"/.exec(answer.body)?.[1] ?? answer.status_text
  } catch (error) {
    why = String(error)
    // k6 was ended, and counts the iteration as interrupted.
    if (why.includes('context canceled')) return undefined
  }
  const status = answer?.status ?? 0
  ;(failures.get(status) ?? otherFailures).add(1)
  console.warn(notAcknowledged(n, count, events.id(n), status, why))
  return answer
}
