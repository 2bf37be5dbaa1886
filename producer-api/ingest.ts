import type { IncomingMessage, ServerResponse } from 'node:http'
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
import type { ApiStats } from './stats.ts'

export interface IngestOptions {
  maxEventBytes: number
  /** Of `POST /events`. */
  maxBodyBytes: number
  /** Of all bodies that are being read. */
  maxBodiesBytes: number
}

/** What became of a request: all that its answer needs. */
export type Ingested =
  | { kind: 'accepted'; eventIds: string[] }
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
  extensions?: ProblemExtensions
  /** One where nobody can say how many it holds. */
  events?: number
}

/** Events that were read and are valid. */
interface Taken {
  kind: 'taken'
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

/** Reads, parses and encodes the events of a request, and hands them to the batcher. */
export class Ingest {
  readonly #options: IngestOptions
  readonly #batcher: Batcher
  readonly #stats: ApiStats
  readonly #budget: BodyBudget
  readonly #parseOptions: ParseOptions
  /** What a fast path has begun: the Koa handlers answer it. */
  readonly #begun = new WeakMap<IncomingMessage, Ingested>()

  constructor(options: IngestOptions, batcher: Batcher, stats: ApiStats) {
    this.#options = options
    this.#batcher = batcher
    this.#stats = stats
    this.#budget = new BodyBudget(options.maxBodiesBytes)
    this.#parseOptions = { newId: v7, maxEventBytes: options.maxEventBytes }
  }

  /** The Koa handler of `POST /event`. */
  readonly event = async (ctx: Context): Promise<void> => {
    answer(ctx, this.#begun.get(ctx.req) ?? (await this.ingestEvent(ctx.req, ctx.res)), acceptedEvent)
  }

  /** The Koa handler of `POST /events`. */
  readonly events = async (ctx: Context): Promise<void> => {
    answer(ctx, await this.#ingest(ctx.req, ctx.res, BATCH_TYPES, this.#options.maxBodyBytes), acceptedBatch)
  }

  /** Leaves the answer of `POST /event` to its Koa handler. */
  handOver(request: IncomingMessage, ingested: Ingested): void {
    this.#begun.set(request, ingested)
  }

  /** `POST /event` up to its answer. */
  async ingestEvent(request: IncomingMessage, response: ServerResponse): Promise<Ingested> {
    return await this.#ingest(
      request,
      response,
      EVENT_TYPES,
      this.#options.maxEventBytes + EVENT_BODY_MARGIN_BYTES,
    )
  }

  async #ingest(
    request: IncomingMessage,
    response: ServerResponse,
    types: Map<string, Parse>,
    maxBytes: number,
  ): Promise<Ingested> {
    const startedAt = performance.now()
    const taken = await this.#take(request, response, types, maxBytes)
    if (taken.kind !== 'taken') {
      this.#countRefused(taken)
      return taken
    }
    const { eventIds, records } = taken
    this.#stats.received += eventIds.length
    const outcome = await this.#batcher.add(records)
    if (outcome.kind === 'accepted') {
      this.#stats.accept(eventIds.length, (performance.now() - startedAt) / 1_000)
      return { kind: 'accepted', eventIds }
    }
    this.#stats.reject(outcome.kind === 'unknown' ? 'outcome-unknown' : outcome.reason, eventIds.length)
    return { kind: 'failed', outcome, eventIds }
  }

  /**
   * From the request to records. A function of its own so that the body, and the events that are views of it, are let
   * go of before the wait for Kafka: else each waiting request holds its bytes twice (I7).
   */
  async #take(
    request: IncomingMessage,
    response: ServerResponse,
    types: Map<string, Parse>,
    maxBytes: number,
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
      return { kind: 'refused', problem, detail, ...(errors === undefined ? {} : { extensions: { errors } }) }
    }
    const eventIds = parsed.events.map((event) => event.eventId)
    const records = encode(parsed.events)
    if (records !== undefined) return { kind: 'taken', eventIds, records }
    const detail = `The events must take at most ${MAX_ENCODED_BATCH_BYTES} bytes together.`
    return { kind: 'refused', problem: 'too-large', detail, events: eventIds.length }
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

/** The body of a 202. */
export function acceptedEvent(eventIds: string[]): string {
  return `{"status":"accepted","event_id":"${eventIds[0]}"}`
}

function acceptedBatch(eventIds: string[]): string {
  const ids = eventIds.map((id) => `"${id}"`).join(',')
  return `{"status":"accepted","count":${eventIds.length},"event_ids":[${ids}]}`
}

function answer(ctx: Context, ingested: Ingested, acceptedBody: (eventIds: string[]) => string): void {
  switch (ingested.kind) {
    case 'accepted':
      ctx.status = 202
      ctx.set('Content-Type', 'application/json')
      ctx.body = acceptedBody(ingested.eventIds)
      break
    case 'failed':
      answerFailure(ctx, ingested.outcome, ingested.eventIds)
      break
    case 'refused':
      if (ingested.headers !== undefined) ctx.set(ingested.headers)
      answerProblem(ctx, ingested.problem, ingested.detail, ingested.extensions)
      break
    case 'aborted':
      ctx.respond = false
      break
    case 'broken':
      throw ingested.error
  }
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
