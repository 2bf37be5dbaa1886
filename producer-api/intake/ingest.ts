import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Context } from 'koa'
import { v7 } from 'uuid'
import type { UserIdType } from '../../event/fields.ts'
import { MAX_ENCODED_BATCH_BYTES, RECORD_OVERHEAD_BYTES } from '../../event/limits.ts'
import { answerProblem } from '../http/answer-problem.ts'
import { type CorsOrigins, foreignOrigins } from '../http/cors.ts'
import type { Batcher } from '../delivery/batcher.ts'
import type { NotAcceptedReason, Outcome } from '../delivery/publisher.ts'
import type { FaultLists } from './fault-lists.ts'
import { encodeRecords, eventIdsJson, receivedAt } from '../../event/record/encode.ts'
import { headBytes, type MemoryBudget } from '../memory-budget.ts'
import {
  type ParsedEvents,
  type ParseOptions,
  parseEvent,
  parseEventArray,
  parseEventLines,
} from './parse-body.ts'
import type { ProblemError, ProblemKind } from '../http/problem.ts'
import { faultForLog } from './explain-faults.ts'
import { NO_MEMORY, readBody } from '../http/read-body.ts'
import type { Records } from '../../event/record/records.ts'
import type { ApiStats } from '../stats.ts'

export interface IngestOptions {
  corsOrigins: CorsOrigins
  userIdType: UserIdType
  maxEventBytes: number
  /** Limit for the body of `POST /events`. */
  maxBodyBytes: number
}

export interface IngestParts {
  batcher: Batcher
  /** Charged for the URL, headers and body of requests being read. */
  reading: MemoryBudget
  faultLists: FaultLists
  stats: ApiStats
}

/** The result of a request, with everything that its response needs. */
export type Ingested =
  /** `body` is the body of the 202 response. */
  | { kind: 'accepted'; body: string }
  /** The events were valid, but Kafka did not acknowledge them. */
  | { kind: 'failed'; outcome: Exclude<Outcome, { kind: 'accepted' }>; eventIds: string[] }
  | Refusal
  /** The client disconnected. */
  | { kind: 'aborted' }
  /** An internal error on the fast path; Koa answers 500. */
  | { kind: 'broken'; error: unknown }

/** The request is refused as a whole. */
interface Refusal {
  kind: 'refused'
  problem: ProblemKind
  detail: string
  headers?: Record<string, string>
  errors?: ProblemError[] | undefined
  /** Number of events, if known. */
  events?: number | undefined
}

/** Valid events, encoded for Kafka. */
interface Encoded {
  kind: 'encoded'
  records: Records
  /** The event ids as JSON array elements, without the brackets. */
  eventIds: string
}

type Parse = (body: Buffer, options: ParseOptions) => ParsedEvents

export type Path = '/event' | '/events'

/** The differences between the two paths. */
interface Endpoint {
  types: Map<string, Parse>
  maxBytes: number
  /** The body of a 202; `eventIds` is JSON. */
  acceptedBody: (eventIds: string, count: number) => string
}

/** Room for white space around the event. */
const EVENT_BODY_MARGIN_BYTES = 1_024

/** By media type. Beacons of browsers can only send text/plain, or no type at all, which is read as the first. */
const EVENT_TYPES = new Map<string, Parse>([
  ['application/json', parseEvent],
  ['text/plain', parseEvent],
])
const BATCH_TYPES = new Map<string, Parse>([
  ['application/json', parseEventArray],
  ['text/plain', parseEventArray],
  ['application/x-ndjson', parseEventLines],
])
const acceptedEvent: Endpoint['acceptedBody'] = (eventId) => `{"status":"accepted","event_id":${eventId}}`
const acceptedBatch: Endpoint['acceptedBody'] = (eventIds, count) =>
  `{"status":"accepted","count":${count},"event_ids":[${eventIds}]}`

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

const FOREIGN_ORIGIN: Refusal = {
  kind: 'refused',
  problem: 'foreign-origin',
  detail: 'Pages of this origin may not send events; CORS_ORIGINS lists those that may.',
}

/** Reads, parses and encodes the events of a request, and passes them to the batcher. */
export class Ingest {
  readonly #endpoints: Record<Path, Endpoint>
  readonly #batcher: Batcher
  readonly #stats: ApiStats
  readonly #budget: MemoryBudget
  readonly #faultLists: FaultLists
  readonly #parseOptions: ParseOptions
  readonly #isForeign: (request: IncomingMessage) => boolean
  /** Requests already processed on the fast path whose response is left to Koa. */
  readonly #handedOver = new WeakMap<IncomingMessage, Ingested>()

  constructor(options: IngestOptions, { batcher, reading, faultLists, stats }: IngestParts) {
    const { corsOrigins, userIdType, maxEventBytes, maxBodyBytes } = options
    this.#endpoints = {
      '/event': {
        types: EVENT_TYPES,
        maxBytes: maxEventBytes + EVENT_BODY_MARGIN_BYTES,
        acceptedBody: acceptedEvent,
      },
      '/events': { types: BATCH_TYPES, maxBytes: maxBodyBytes, acceptedBody: acceptedBatch },
    }
    this.#batcher = batcher
    this.#stats = stats
    this.#budget = reading
    this.#faultLists = faultLists
    this.#parseOptions = { newId: v7, userIdType, maxEventBytes }
    this.#isForeign = foreignOrigins(corsOrigins)
  }

  /** The Koa handler of a path. */
  handler(path: Path): (ctx: Context) => Promise<void> {
    return async (ctx) => {
      const ingested = this.#handedOver.get(ctx.req) ?? (await this.ingest(path, ctx.req, ctx.res))
      answer(ctx, ingested, this.#faultLists)
    }
  }

  /** Leaves the response of an ingested request to the Koa handler. */
  handOver(request: IncomingMessage, ingested: Ingested): void {
    this.#handedOver.set(request, ingested)
  }

  /** Processes a POST request up to its response. */
  async ingest(path: Path, request: IncomingMessage, response: ServerResponse): Promise<Ingested> {
    const startedAt = performance.now()
    const endpoint = this.#endpoints[path]
    const head = headBytes(request)
    const encoded = await this.#read(request, response, endpoint, head)
    if (encoded.kind !== 'encoded') {
      this.#countRefused(encoded)
      return encoded
    }
    const { eventIds } = encoded
    const events = encoded.records.ends.length
    this.#stats.received += events
    const outcome = await this.#batcher.add(encoded.records, head)
    if (outcome.kind === 'accepted') {
      this.#stats.accept(events, (performance.now() - startedAt) / 1_000)
      return { kind: 'accepted', body: endpoint.acceptedBody(eventIds, events) }
    }
    this.#stats.reject(outcome.kind === 'unknown' ? 'outcome-unknown' : outcome.reason, events)
    return { kind: 'failed', outcome, eventIds: JSON.parse(`[${eventIds}]`) as string[] }
  }

  /**
   * Reads and encodes the events of a request. This is a separate function so that the body, and the events that are
   * views of it, can be garbage-collected before the wait for Kafka; otherwise each waiting request would hold its bytes
   * twice (I7).
   *
   * @param heldBytes memory of the URL and headers, charged until the body is encoded
   */
  async #read(
    request: IncomingMessage,
    response: ServerResponse,
    { types, maxBytes }: Endpoint,
    heldBytes: number,
  ): Promise<Encoded | Refusal | { kind: 'aborted' }> {
    if (this.#isForeign(request)) return FOREIGN_ORIGIN
    const parse = parserFor(request.headers['content-type'], types)
    if (parse === undefined) {
      return {
        kind: 'refused',
        problem: 'unsupported-media-type',
        detail: `The content type must be ${[...types.keys()].join(' or ')}, in UTF-8.`,
        headers: { Accept: [...types.keys()].join(', ') },
      }
    }
    if (!this.#budget.take(heldBytes)) return NO_MEMORY
    try {
      const read = await readBody(request, response, maxBytes, this.#budget)
      if (read.kind !== 'body') return read
      const parsed = parse(read.body, this.#parseOptions)
      if (!parsed.ok) {
        const { problem, detail, errors, count } = parsed
        return { kind: 'refused', problem, detail, errors, events: count }
      }
      const records = encodeRecords(parsed.events, receivedAt(Date.now()))
      const events = records.ends.length
      if (records.bytes.length + events * RECORD_OVERHEAD_BYTES <= MAX_ENCODED_BATCH_BYTES) {
        return { kind: 'encoded', records, eventIds: eventIdsJson(records) }
      }
      const detail = `The encoded events must have at most ${MAX_ENCODED_BATCH_BYTES} bytes in total.`
      return { kind: 'refused', problem: 'too-large', detail, events }
    } finally {
      this.#budget.giveBack(heldBytes)
    }
  }

  #countRefused(refusal: Refusal | { kind: 'aborted' }): void {
    const events = refusal.kind === 'refused' ? (refusal.events ?? 1) : 1
    this.#stats.received += events
    if (refusal.kind === 'aborted') this.#stats.reject('aborted', events)
    else this.#stats.reject(refusal.problem === 'not-accepted' ? 'buffer_full' : refusal.problem, events)
  }
}

/** The parser for a media type; undefined if the type, or a charset other than UTF-8 and US-ASCII, is not supported. */
function parserFor(contentType: string | undefined, types: ReadonlyMap<string, Parse>): Parse | undefined {
  const exact = types.get(contentType || 'application/json')
  if (exact !== undefined) return exact
  const [type = '', ...parameters] = (contentType ?? '').toLowerCase().split(';')
  const charset = parameters.map((parameter) => parameter.trim()).find((p) => p.startsWith('charset='))
  if (charset !== undefined && !/^charset="?(utf-8|utf8|us-ascii)"?$/.test(charset)) return undefined
  return types.get(type.trim())
}

function answer(ctx: Context, ingested: Ingested, faultLists: FaultLists): void {
  switch (ingested.kind) {
    case 'accepted':
      ctx.status = 202
      ctx.set('Content-Type', 'application/json')
      ctx.body = ingested.body
      break
    case 'failed':
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
  eventIds: string[],
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
