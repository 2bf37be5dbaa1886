import type { Context } from 'koa'
import { v7 } from 'uuid'
import { MAX_ENCODED_BATCH_BYTES, RECORD_OVERHEAD_BYTES } from '../event/limits.ts'
import type { CanonicalEvent } from '../event/types.ts'
import { answerProblem } from './answer-problem.ts'
import type { Batcher } from './batcher.ts'
import type { NotAcceptedReason, Outcome } from './delivery.ts'
import { encodeRecord, receivedAt } from './encode-record.ts'
import {
  type ParsedEvents,
  type ParseOptions,
  parseEvent,
  parseEventArray,
  parseEventLines,
} from './parse-event.ts'
import type { ProblemExtensions, ProblemKind } from './problem.ts'
import { BodyBudget, readBody } from './read-body.ts'
import type { ApiStats, RejectReason } from './stats.ts'

export interface IngestOptions {
  maxEventBytes: number
  /** Of `POST /events`. */
  maxBodyBytes: number
  /** Of all bodies that are being read. */
  maxBodiesBytes: number
}

/** Events that were read and are valid. */
interface Taken {
  eventIds: string[]
  records: Buffer[]
}

type Parse = (body: Buffer, options: ParseOptions) => ParsedEvents

/** Room for a pretty printer's spaces around the one event. */
const EVENT_BODY_MARGIN_BYTES = 1_024

const EVENT_TYPES = new Map<string, Parse>([
  ['application/json', parseEvent],
  ['text/plain', parseEvent],
])
const BATCH_TYPES = new Map<string, Parse>([
  ['application/json', parseEventArray],
  ['application/x-ndjson', parseEventLines],
])

const NOT_ACCEPTED: Record<NotAcceptedReason, { detail: string; retryAfterSeconds: number }> = {
  buffer_full: { detail: 'The buffer is full; nothing was kept.', retryAfterSeconds: 1 },
  shutting_down: { detail: 'This server is shutting down; nothing was kept.', retryAfterSeconds: 1 },
  timeout: { detail: 'Kafka could not be reached in time; nothing was kept.', retryAfterSeconds: 2 },
  refused: { detail: 'Kafka refused to store it; nothing was kept.', retryAfterSeconds: 30 },
  too_large_for_kafka: {
    detail: 'Kafka takes no message as large as these events together.',
    retryAfterSeconds: 30,
  },
}

/** The handlers of `POST /event` and `POST /events`: read, parse, encode, hand over, answer. */
export function createIngest(options: IngestOptions, batcher: Batcher, stats: ApiStats) {
  const parseOptions: ParseOptions = { newId: v7, maxEventBytes: options.maxEventBytes }

  const budget = new BodyBudget(options.maxBodiesBytes)

  /** Answers a body that is refused as a whole: it counts as one event where nobody can say how many it holds. */
  const refuse = (
    ctx: Context,
    kind: ProblemKind,
    detail: string,
    { events = 1, extensions = {} }: { events?: number; extensions?: ProblemExtensions } = {},
  ): undefined => {
    stats.received += events
    stats.reject(kind === 'not-accepted' ? 'buffer_full' : kind, events)
    answerProblem(ctx, kind, detail, extensions)
  }

  /**
   * From the request to records; answers what is wrong itself. A function of its own so that the body, and the events
   * that are views of it, are let go of before the wait for Kafka: else each waiting request holds its bytes twice (I7).
   */
  const take = async (
    ctx: Context,
    types: Map<string, Parse>,
    maxBytes: number,
  ): Promise<Taken | undefined> => {
    const parse = parserFor(ctx.req.headers['content-type'], types)
    if (parse === undefined) {
      ctx.set('Accept', [...types.keys()].join(', '))
      const detail = `The content type must be ${[...types.keys()].join(' or ')}, in UTF-8.`
      return refuse(ctx, 'unsupported-media-type', detail)
    }
    const read = await readBody(ctx.req, ctx.res, maxBytes, budget)
    if (read.kind === 'aborted') {
      ctx.respond = false
      stats.received += 1
      stats.reject('aborted', 1)
      return undefined
    }
    if (read.kind === 'refused') {
      if (read.headers !== undefined) ctx.set(read.headers)
      return refuse(ctx, read.problem, read.detail)
    }
    const parsed = parse(read.body, parseOptions)
    if (!parsed.ok) {
      const extensions = parsed.errors === undefined ? {} : { errors: parsed.errors }
      return refuse(ctx, parsed.problem, parsed.detail, { extensions })
    }
    const eventIds = parsed.events.map((event) => event.eventId)
    const records = encode(parsed.events)
    if (records === undefined) {
      const detail = `The events must take at most ${MAX_ENCODED_BATCH_BYTES} bytes together.`
      return refuse(ctx, 'too-large', detail, { events: eventIds.length })
    }
    stats.received += eventIds.length
    return { eventIds, records }
  }

  const ingest = async (ctx: Context, types: Map<string, Parse>, maxBytes: number): Promise<void> => {
    const startedAt = performance.now()
    const taken = await take(ctx, types, maxBytes)
    if (taken === undefined) return
    const { eventIds, records } = taken
    const outcome = await batcher.add(records)
    if (outcome.kind === 'accepted') {
      ctx.status = 202
      ctx.set('Content-Type', 'application/json')
      ctx.body = types === EVENT_TYPES ? acceptedEvent(eventIds) : acceptedBatch(eventIds)
      stats.accept(eventIds.length, (performance.now() - startedAt) / 1_000)
    } else {
      stats.reject(answerFailure(ctx, outcome, eventIds), eventIds.length)
    }
  }

  return {
    event: (ctx: Context) => ingest(ctx, EVENT_TYPES, options.maxEventBytes + EVENT_BODY_MARGIN_BYTES),
    events: (ctx: Context) => ingest(ctx, BATCH_TYPES, options.maxBodyBytes),
  }
}

/** The parser for a media type in UTF-8 (or its subset US-ASCII); undefined for all others. */
function parserFor(contentType: string | undefined, types: Map<string, Parse>): Parse | undefined {
  if (contentType === undefined) return undefined
  const exact = types.get(contentType)
  if (exact !== undefined) return exact
  const [type = '', ...parameters] = contentType.toLowerCase().split(';')
  const charset = parameters.map((parameter) => parameter.trim()).find((p) => p.startsWith('charset='))
  if (charset !== undefined && !/^charset="?(utf-8|utf8|us-ascii)"?$/.test(charset)) return undefined
  return types.get(type.trim())
}

/** The records in the order of the events; undefined when Kafka could not take them as one batch. */
function encode(events: CanonicalEvent[]): Buffer[] | undefined {
  const now = receivedAt(Date.now())
  let bytes = 0
  const records = events.map((event) => {
    const record = encodeRecord(event, now)
    bytes += record.length + RECORD_OVERHEAD_BYTES
    return record
  })
  return bytes <= MAX_ENCODED_BATCH_BYTES ? records : undefined
}

function acceptedEvent(eventIds: string[]): string {
  return `{"status":"accepted","event_id":"${eventIds[0]}"}`
}

function acceptedBatch(eventIds: string[]): string {
  const ids = eventIds.map((id) => `"${id}"`).join(',')
  return `{"status":"accepted","count":${eventIds.length},"event_ids":[${ids}]}`
}

/** @returns the reason, for the statistics */
function answerFailure(
  ctx: Context,
  outcome: Exclude<Outcome, { kind: 'accepted' }>,
  eventIds: string[],
): RejectReason {
  ctx.state.cause = outcome.cause
  if (outcome.kind === 'unknown') {
    ctx.set('Retry-After', '1')
    const detail = 'Kafka did not acknowledge in time. Send the same events again, with these ids.'
    answerProblem(ctx, 'outcome-unknown', detail, { eventIds })
    return 'outcome-unknown'
  }
  const { detail, retryAfterSeconds } = NOT_ACCEPTED[outcome.reason]
  if (outcome.reason === 'too_large_for_kafka') answerProblem(ctx, 'too-large', detail)
  else {
    ctx.set('Retry-After', String(retryAfterSeconds))
    answerProblem(ctx, 'not-accepted', detail, { eventIds })
  }
  return outcome.reason
}
