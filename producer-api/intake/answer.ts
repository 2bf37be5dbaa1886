/** The result of a request, and how it is answered. */
import type { Context } from 'koa'
import type { NotAcceptedReason, Outcome } from '../delivery/publisher.ts'
import { answerProblem } from '../http/answer-problem.ts'
import { LENIENT_APPLIED } from '../http/prefer.ts'
import type { ProblemError, ProblemKind } from '../http/problem.ts'
import type { RejectReason } from '../stats.ts'
import { faultForLog } from './explain-faults.ts'
import type { FaultLists } from './fault-lists.ts'
import type { ListedFaults } from './parse-faults.ts'

/** The result of a request, with everything that its response needs. */
export type Ingested =
  /** `body` is the body of the 202 response. */
  | { kind: 'accepted'; body: string }
  /** The good events of a lenient batch were accepted. `eventIds` is JSON, as for acceptedBatch(). */
  | { kind: 'accepted-leniently'; count: number; eventIds: string; faults: ListedFaults }
  /** The events were valid, but Kafka did not acknowledge them. `eventIds`: null for refused events of a lenient batch. */
  | {
      kind: 'failed'
      outcome: Exclude<Outcome, { kind: 'accepted' }>
      eventIds: (string | null)[]
      isLenient: boolean
    }
  | Refusal
  /** The client disconnected. */
  | { kind: 'aborted' }
  /** An internal error on the fast path; Koa answers 500. */
  | { kind: 'broken'; error: unknown }

/** The request is refused as a whole. */
export interface Refusal {
  kind: 'refused'
  problem: ProblemKind
  detail: string
  headers?: Record<string, string>
  errors?: ProblemError[] | undefined
  /** Number of events that are refused for this problem, if known. */
  events?: number | undefined
  /** Why, for the metric, if the problem does not say it. */
  reason?: RejectReason
}

const NOT_ACCEPTED: Record<NotAcceptedReason, { detail: string; retryAfterSeconds: number }> = {
  buffer_full: { detail: 'The buffer is full; nothing was accepted.', retryAfterSeconds: 1 },
  shutting_down: { detail: 'The server is shutting down; nothing was accepted.', retryAfterSeconds: 1 },
  timeout: { detail: 'Kafka could not be reached in time; nothing was accepted.', retryAfterSeconds: 2 },
  refused: { detail: 'Kafka refused the events; nothing was accepted.', retryAfterSeconds: 30 },
  too_large_for_kafka: {
    detail: 'The events together are larger than the largest message that Kafka accepts.',
    retryAfterSeconds: 30,
  },
}

const NO_ROOM_FOR_FAULTS =
  'Nothing was accepted because of faults. They are not listed because too many other responses are waiting to be read.'
/** In a 202, where `event_ids` says which events were refused. */
const FAULTS_LEFT_OUT = 'The faults are not listed because too many other responses are waiting to be read.'
const MAY_BE_MORE = 'There may be more faults than those in errors.'

/** The body of the 202 to an event; `eventId` is JSON. */
export function acceptedEvent(eventId: string): string {
  return `{"status":"accepted","event_id":${eventId}}`
}

/** The body of the 202 to a batch; `eventIds` is JSON, the elements of an array without its brackets. */
export function acceptedBatch(eventIds: string, count: number): string {
  return `{"status":"accepted","count":${count},"event_ids":[${eventIds}]}`
}

export function answer(ctx: Context, ingested: Ingested, faultLists: FaultLists): void {
  switch (ingested.kind) {
    case 'accepted':
      answerAccepted(ctx, ingested.body)
      break
    case 'accepted-leniently': {
      const { eventIds, count, faults } = ingested
      ctx.set(LENIENT_APPLIED)
      answerAccepted(ctx, withFaults(acceptedBatch(eventIds, count), faults, ctx, faultLists))
      break
    }
    case 'failed':
      if (ingested.isLenient) ctx.set(LENIENT_APPLIED)
      answerFailure(ctx, ingested.outcome, ingested.eventIds)
      break
    case 'refused':
      answerRefusal(ctx, ingested, faultLists)
      break
    case 'aborted':
      ctx.respond = false
      break
    case 'broken':
      throw ingested.error
  }
}

function answerAccepted(ctx: Context, body: string): void {
  ctx.status = 202
  ctx.set('Content-Type', 'application/json')
  ctx.body = body
}

/** The body of a 202 with the faults of the refused events. The others are accepted, so this never becomes an error. */
function withFaults(
  body: string,
  { errors, mayBeMore }: ListedFaults,
  ctx: Context,
  faultLists: FaultLists,
): string {
  const list = errors.length === 0 ? errors : faultLists.within(ctx.res, errors)
  const detail = list === undefined ? FAULTS_LEFT_OUT : mayBeMore ? MAY_BE_MORE : undefined
  const rest = JSON.stringify({ errors: list ?? [], detail })
  return `${body.slice(0, -1)},${rest.slice(1)}`
}

function answerRefusal(ctx: Context, refusal: Refusal, faultLists: FaultLists): void {
  const { problem, detail, headers = {}, errors } = refusal
  ctx.set(headers)
  const [first] = errors ?? []
  if (first !== undefined) ctx.state.fault = faultForLog(first, ctx.path === '/events')
  const listed = errors && faultLists.within(ctx.res, errors)
  if (listed !== undefined) answerProblem(ctx, problem, detail, { errors: listed })
  else answerProblem(ctx, problem, errors === undefined ? detail : NO_ROOM_FOR_FAULTS)
}

function answerFailure(
  ctx: Context,
  outcome: Exclude<Outcome, { kind: 'accepted' }>,
  eventIds: (string | null)[],
): void {
  ctx.state.cause = outcome.cause
  if (outcome.kind === 'unknown') {
    ctx.set('Retry-After', '1')
    const detail = 'Kafka did not acknowledge the events in time. Send the same events again with these ids.'
    answerProblem(ctx, 'outcome-unknown', detail, { eventIds })
    return
  }
  const { detail, retryAfterSeconds } = NOT_ACCEPTED[outcome.reason]
  if (outcome.reason === 'too_large_for_kafka') {
    answerProblem(ctx, 'too-large', detail)
    return
  }
  ctx.set('Retry-After', String(retryAfterSeconds))
  answerProblem(ctx, 'not-accepted', detail, { eventIds })
}
