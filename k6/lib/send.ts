import exec from 'k6/execution'
import http, { type RefinedResponse } from 'k6/http'
import { Counter } from 'k6/metrics'
import { EventMaker, newRun, type Run } from './event.ts'
import { TIMEOUT_S } from './options.ts'
import { notAcknowledged } from './report.ts'
import { apiUrl } from './settings.ts'

/** The statuses that are counted one by one; 0 is no answer. The summary reads the counters. */
export const STATUSES = [0, 200, 400, 404, 405, 408, 413, 415, 422, 429, 431, 500, 502, 503, 504]

// For k6, http_req_failed is everything but a 202.
http.setResponseCallback(http.expectedStatuses(202))

const failures = new Map(STATUSES.map((status) => [status, new Counter(`not_acknowledged_${status}`)]))
const otherFailures = new Counter('not_acknowledged_other')

const oneEvent = paramsOf('application/json')
const manyEvents = paramsOf('application/x-ndjson')

/** Each VU's own. */
let maker: EventMaker | undefined
let scenario: typeof exec.scenario | undefined

function paramsOf(type: string) {
  return { headers: { 'Content-Type': type }, timeout: TIMEOUT_S * 1000, throw: true }
}

/** For scripts with another limit than TIMEOUT_S. */
export function giveUpAfter(seconds: number): void {
  oneEvent.timeout = manyEvents.timeout = seconds * 1000
}

/** k6 runs it once and hands what it returns to every VU. The runner may have named the run. */
export function setup(): Run {
  return newRun(__ENV.RUN_START || undefined, __ENV.RUN_RANDOM || undefined)
}

/** The scenario in which the VU is now, and its iteration's number among those of all VUs. */
export function currentScenario(): typeof exec.scenario {
  scenario ??= exec.scenario // a new object at each access; its members are read anew
  return scenario
}

/** Sends event `n` of the run to /event. The answer, if there is one. */
export function postEvent(run: Run, n: number): RefinedResponse<'text'> | undefined {
  maker ??= new EventMaker(run)
  return post('/event', maker.body(n), oneEvent, n, 1, maker)
}

/** Sends `count` events of the run from number `n` to /events, as NDJSON. */
export function postEvents(run: Run, n: number, count: number): void {
  maker ??= new EventMaker(run)
  let body = ''
  for (let i = n; i < n + count; i++) body += `${maker.body(i)}\n`
  post('/events', body, manyEvents, n, count, maker)
}

function post(
  path: string,
  body: string,
  params: typeof oneEvent,
  n: number,
  count: number,
  events: EventMaker,
): RefinedResponse<'text'> | undefined {
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
