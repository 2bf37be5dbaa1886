import exec from 'k6/execution'
import http, { type RefinedResponse } from 'k6/http'
import { Counter } from 'k6/metrics'
import { EventMaker, newRun, type Run } from './event.ts'
import { TIMEOUT_S } from './options.ts'
import { notAcknowledged } from './report.ts'
import { apiKey, apiUrl } from './settings.ts'
import { STATUSES } from './statuses.ts'

// http_req_failed counts everything except a 202.
http.setResponseCallback(http.expectedStatuses(202))

const failures = new Map(STATUSES.map((status) => [status, new Counter(`not_acknowledged_${status}`)]))
const otherFailures = new Counter('not_acknowledged_other')

const oneEvent = paramsOf('application/json')
const manyEvents = paramsOf('application/x-ndjson')

/** State of this VU. */
let maker: EventMaker | undefined
let scenario: typeof exec.scenario | undefined

function paramsOf(type: string) {
  const headers: { [name: string]: string } = { 'Content-Type': type }
  if (apiKey) headers.Authorization = `Bearer ${apiKey}`
  return { headers, timeout: TIMEOUT_S * 1000, throw: true }
}

/** For scripts with a timeout other than TIMEOUT_S. */
export function giveUpAfter(seconds: number): void {
  oneEvent.timeout = manyEvents.timeout = seconds * 1000
}

/** k6 calls this once and passes the result to every VU. The runner may have set the run. */
export function setup(): Run {
  return newRun(__ENV.RUN_START || undefined, __ENV.RUN_RANDOM || undefined)
}

/** The VU's current scenario, with the number of its iteration among those of all VUs. */
export function currentScenario(): typeof exec.scenario {
  scenario ??= exec.scenario // each access creates an object, whose getters stay up to date
  return scenario
}

/** Sends event `n` of the run to /event. @returns the response, if there is one */
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
    // "outcome" of a 503: whether it is certain that the events were not accepted.
    why = /"outcome" ?: ?"(\w+)"/.exec(answer.body)?.[1] ?? answer.status_text
  } catch (error) {
    why = String(error)
    // k6 was stopped and counts the iteration as interrupted.
    if (why.includes('context canceled')) return undefined
  }
  const status = answer?.status ?? 0
  ;(failures.get(status) ?? otherFailures).add(1)
  console.warn(notAcknowledged(n, count, events.id(n), status, why))
  return answer
}
