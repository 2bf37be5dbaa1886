import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Context } from 'koa'
import { v7 } from 'uuid'
import { MAX_ENCODED_BATCH_BYTES, RECORD_OVERHEAD_BYTES } from '../../event/limits.ts'
import { answerProblem } from '../http/answer-problem.ts'
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
import { NO_MEMORY, readBody } from '../http/read-body.ts'
import type { Records } from '../../event/record/records.ts'
import type { ApiStats } from '../stats.ts'

export interface IngestOptions {
  maxEventBytes: number
  /** Of `POST /events`. */
  maxBodyBytes: number
}

export interface IngestParts {
  batcher: Batcher
  /** For requests that are being read: their heads and bodies. */
  reading: MemoryBudget
  faultLists: FaultLists
  stats: ApiStats
}

/** What became of a request: all that its answer needs. */
export type Ingested =
  /** `body`: that of the 202. */
  | { kind: 'accepted'; body: string }
  /** Handed to the batcher, and not accepted. */
  | { kind: 'failed'; outcome: Exclude<Outcome, { kind: 'accepted' }>; eventIds: string[] }
  | Refusal
  /** The client went away: there is nobody to answer. */
  | { kind: 'aborted' }
  /** A fault of ours, met on the fast path: Koa says 500. */
  | { kind: 'broken'; error: unknown }

/** The body is refused as a whole. */
interface Refusal {
  kind: 'refused'
  problem: ProblemKind
  detail: string
  headers?: Record<string, string>
  errors?: ProblemError[]
  /** One where nobody can say how many it holds. */
  events?: number
}

/** Events that were read and are valid. */
interface Taken {
  kind: 'taken'
  records: Records
  /** Of the events, as JSON between the brackets of an array. */
  eventIds: string
}

type Parse = (body: Buffer, options: ParseOptions) => ParsedEvents

export type Path = '/event' | '/events'

/** What one of the paths has of its own. */
interface Endpoint {
  types: Map<string, Parse>
  maxBytes: number
  /** The body of a 202; `eventIds` is JSON. */
  acceptedBody: (eventIds: string, count: number) => string
}

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
const acceptedEvent: Endpoint['acceptedBody'] = (eventId) => `{"status":"accepted","event_id":${eventId}}`
const acceptedBatch: Endpoint['acceptedBody'] = (eventIds, count) =>
  `{"status":"accepted","count":${count},"event_ids":[${eventIds}]}`

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

const NO_ROOM_FOR_FAULTS =
  'Nothing was accepted because of faults. They are not listed, for too many lists wait for clients that do not read them.'

/** Reads, parses and encodes the events of a request, and hands them to the batcher. */
export class Ingest {
  readonly #endpoints: Record<Path, Endpoint>
  readonly #batcher: Batcher
  readonly #stats: ApiStats
  readonly #budget: MemoryBudget
  readonly #faultLists: FaultLists
  readonly #parseOptions: ParseOptions
  /** What a fast path has begun: the Koa handlers answer it. */
  readonly #begun = new WeakMap<IncomingMessage, Ingested>()

  constructor(options: IngestOptions, { batcher, reading, faultLists, stats }: IngestParts) {
    const { maxEventBytes, maxBodyBytes } = options
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
    this.#parseOptions = { newId: v7, maxEventBytes }
  }

  /** The Koa handler of this path. */
  handler(path: Path): (ctx: Context) => Promise<void> {
    return async (ctx) => {
      answer(ctx, this.#begun.get(ctx.req) ?? (await this.ingest(path, ctx.req, ctx.res)), this.#faultLists)
    }
  }

  /** Leaves the answer to the Koa handler. */
  handOver(request: IncomingMessage, ingested: Ingested): void {
    this.#begun.set(request, ingested)
  }

  /** A POST to this path up to its answer. */
  async ingest(path: Path, request: IncomingMessage, response: ServerResponse): Promise<Ingested> {
    const startedAt = performance.now()
    const endpoint = this.#endpoints[path]
    const head = headBytes(request)
    const taken = await this.#takeWithinBudget(request, response, endpoint, head)
    if (taken.kind !== 'taken') {
      this.#countRefused(taken)
      return taken
    }
    const { eventIds } = taken
    const events = taken.records.ends.length
    this.#stats.received += events
    const outcome = await this.#batcher.add(taken.records, head)
    if (outcome.kind === 'accepted') {
      this.#stats.accept(events, (performance.now() - startedAt) / 1_000)
      return { kind: 'accepted', body: endpoint.acceptedBody(eventIds, events) }
    }
    this.#stats.reject(outcome.kind === 'unknown' ? 'outcome-unknown' : outcome.reason, events)
    return { kind: 'failed', outcome, eventIds: JSON.parse(`[${eventIds}]`) as string[] }
  }

  /** @param heldBytes of its head: charged while its body is read */
  async #takeWithinBudget(
    request: IncomingMessage,
    response: ServerResponse,
    endpoint: Endpoint,
    heldBytes: number,
  ): Promise<Taken | Refusal | { kind: 'aborted' }> {
    if (!this.#budget.take(heldBytes)) return NO_MEMORY
    try {
      return await this.#take(request, response, endpoint)
    } finally {
      this.#budget.giveBack(heldBytes)
    }
  }

  /**
   * From the request to records. A function of its own so that the body, and the events that are views of it, are let
   * go of before the wait for Kafka: else each waiting request holds its bytes twice (I7).
   */
  async #take(
    request: IncomingMessage,
    response: ServerResponse,
    { types, maxBytes }: Endpoint,
  ): Promise<Taken | Refusal | { kind: 'aborted' }> {
    const parse = parserFor(request.headers['content-type'], types)
    if (parse === undefined) {
      return {
        kind: 'refused',
        problem: 'unsupported-media-type',
        detail: `The content type must be ${[...types.keys()].join(' or ')}, in UTF-8.`,
        headers: { Accept: [...types.keys()].join(', ') },
      }
    }
    const read = await readBody(request, response, maxBytes, this.#budget)
    if (read.kind !== 'body') return read
    const parsed = parse(read.body, this.#parseOptions)
    if (!parsed.ok) {
      const { problem, detail, errors } = parsed
      return { kind: 'refused', problem, detail, ...(errors === undefined ? {} : { errors }) }
    }
    const records = encodeRecords(parsed.events, receivedAt(Date.now()))
    const events = records.ends.length
    if (records.bytes.length + events * RECORD_OVERHEAD_BYTES <= MAX_ENCODED_BATCH_BYTES) {
      return { kind: 'taken', records, eventIds: eventIdsJson(records) }
    }
    const detail = `The events must take at most ${MAX_ENCODED_BATCH_BYTES} bytes together.`
    return { kind: 'refused', problem: 'too-large', detail, events }
  }

  #countRefused(refusal: Refusal | { kind: 'aborted' }): void {
    const events = refusal.kind === 'refused' ? (refusal.events ?? 1) : 1
    this.#stats.received += events
    if (refusal.kind === 'aborted') this.#stats.reject('aborted', events)
    else this.#stats.reject(refusal.problem === 'not-accepted' ? 'buffer_full' : refusal.problem, events)
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
    const detail = 'Kafka did not acknowledge in time. Send the same events again, with these ids.'
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
