import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Context } from 'koa'
import { v7 } from 'uuid'
import type { UserIdType } from '../../event/kinds.ts'
import { MAX_ENCODED_BATCH_BYTES, RECORD_OVERHEAD_BYTES } from '../../event/limits.ts'
import { type ClientFacts, encodeRecords, eventIdsJson, receivedAt } from '../../event/record/encode.ts'
import type { Records } from '../../event/record/records.ts'
import type { Batcher } from '../delivery/batcher.ts'
import { type ClientCapture, clientFacts } from '../http/client-facts.ts'
import type { Caller } from '../front-door/callers.ts'
import type { FrontDoor } from '../front-door/front-door.ts'
import { LENIENT_APPLIED, prefersLenient } from '../http/prefer.ts'
import { NO_MEMORY, readBody } from '../http/read-body.ts'
import { headBytes, type MemoryBudget } from '../memory-budget.ts'
import type { ApiStats } from '../stats.ts'
import { acceptedBatch, acceptedEvent, answer, type Ingested, type Refusal } from './answer.ts'
import { BATCH_PARSERS, EVENT_PARSERS, type Parsers, parserFor } from './choose-parser.ts'
import type { LenientFaults, ParseOptions } from './event-list.ts'
import { type FaultLists, listBytes } from './fault-lists.ts'
import { otherUsers } from './other-users.ts'
import type { ListedFaults } from './parse-faults.ts'

export interface IngestOptions {
  client: ClientCapture
  userIdType: UserIdType
  maxEventBytes: number
  /** Limit for the body of `POST /events`. */
  maxBodyBytes: number
}

export interface IngestParts {
  frontDoor: FrontDoor
  batcher: Batcher
  /** Charged for the URL, headers and body of requests being read. */
  reading: MemoryBudget
  faultLists: FaultLists
  stats: ApiStats
}

/** Valid events, encoded for Kafka. */
interface Encoded {
  kind: 'encoded'
  caller: Caller
  records: Records
  /** The event ids as JSON array elements, without the brackets; in a lenient batch, null for each refused event. */
  eventIds: string
  /** Of a lenient batch, and only of one. */
  faults?: ListedFaults | undefined
}

export type Path = '/event' | '/events'

/** The differences between the two paths. */
interface Endpoint {
  parsers: Parsers
  maxBytes: number
  /** Whether one body has several events. */
  isBatch: boolean
}

/** Room for white space around the event. */
const EVENT_BODY_MARGIN_BYTES = 1_024

const ABORTED = { kind: 'aborted' } as const

/** Reads, parses and encodes the events of a request, and passes them to the batcher. */
export class Ingest {
  readonly #endpoints: Record<Path, Endpoint>
  readonly #frontDoor: FrontDoor
  readonly #batcher: Batcher
  readonly #stats: ApiStats
  readonly #budget: MemoryBudget
  readonly #faultLists: FaultLists
  readonly #parseOptions: ParseOptions
  readonly #lenientOptions: ParseOptions
  readonly #factsOf: ((request: IncomingMessage) => ClientFacts) | undefined
  /** Requests already processed on the fast path whose response is left to Koa. */
  readonly #handedOver = new WeakMap<IncomingMessage, Ingested>()

  constructor(options: IngestOptions, { frontDoor, batcher, reading, faultLists, stats }: IngestParts) {
    const { client, userIdType, maxEventBytes, maxBodyBytes } = options
    this.#endpoints = {
      '/event': {
        parsers: EVENT_PARSERS,
        maxBytes: maxEventBytes + EVENT_BODY_MARGIN_BYTES,
        isBatch: false,
      },
      '/events': { parsers: BATCH_PARSERS, maxBytes: maxBodyBytes, isBatch: true },
    }
    this.#frontDoor = frontDoor
    this.#batcher = batcher
    this.#stats = stats
    this.#budget = reading
    this.#faultLists = faultLists
    // All members, so that the parsers' code is compiled for one form of object, whatever a request needs.
    this.#parseOptions = { newId: v7, userIdType, maxEventBytes, isLenient: false, label: undefined }
    this.#lenientOptions = { ...this.#parseOptions, isLenient: true }
    this.#factsOf = clientFacts(client)
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
    const encoded = await this.#read(request, response, endpoint, head, startedAt)
    if (encoded.kind !== 'encoded') {
      this.#countRefused(encoded)
      return encoded
    }
    const { caller, records, eventIds, faults } = encoded
    const events = records.ends.length
    this.#stats.received += events
    const faultBytes = faults === undefined ? 0 : listBytes(faults.errors) + eventIds.length
    const outcome = await this.#batcher.add(records, head + faultBytes)
    if (outcome.kind === 'accepted') {
      this.#stats.accept(events, (performance.now() - startedAt) / 1_000, caller.label)
      if (faults !== undefined) return { kind: 'accepted-leniently', count: events, eventIds, faults }
      const body = endpoint.isBatch ? acceptedBatch(eventIds, events) : acceptedEvent(eventIds)
      return { kind: 'accepted', body }
    }
    this.#stats.reject(outcome.kind === 'unknown' ? 'outcome-unknown' : outcome.reason, events)
    const ids = JSON.parse(`[${eventIds}]`) as (string | null)[]
    return { kind: 'failed', outcome, eventIds: ids, isLenient: faults !== undefined }
  }

  /**
   * Reads and encodes the events of a request. This is a separate function so that the body, and the events that are
   * views of it, can be garbage-collected before the wait for Kafka; otherwise each waiting request would hold its bytes
   * twice (I7).
   *
   * @param heldBytes memory of the URL and headers, charged until the body is encoded
   * @param nowMs of performance.now()
   */
  async #read(
    request: IncomingMessage,
    response: ServerResponse,
    { parsers, maxBytes }: Endpoint,
    heldBytes: number,
    nowMs: number,
  ): Promise<Encoded | Refusal | { kind: 'aborted' }> {
    let caller = this.#frontDoor.admit(request, nowMs)
    if (caller instanceof Promise) {
      caller = await caller
      // Its 'close' was emitted while nobody listened.
      if (request.destroyed) return ABORTED
    }
    if (caller.kind === 'refused') return caller
    const parse = parserFor(request, parsers)
    if (typeof parse === 'string') {
      const headers = { Accept: [...parsers.byType.keys()].join(', ') }
      return { kind: 'refused', problem: 'unsupported-media-type', detail: parse, headers }
    }
    if (!this.#budget.take(heldBytes)) return NO_MEMORY
    try {
      // Before the body: a client that resets the connection has no address any more.
      const facts = { ...this.#factsOf?.(request), keyLabel: caller.label }
      const read = await readBody(request, response, maxBytes, this.#budget)
      if (read.kind !== 'body') return read
      const options = this.#optionsFor(request, caller)
      const parsed = parse(read.body, options)
      const { lenient } = parsed
      if (lenient !== undefined) this.#countFaulty(lenient)
      if (!parsed.ok) {
        const { problem, detail, errors, count } = parsed
        const headers = lenient === undefined ? {} : LENIENT_APPLIED
        return { kind: 'refused', problem, detail, headers, errors, events: count }
      }
      const events = parsed.events.length
      const refusal =
        otherUsers(parsed.events, caller.onlyUser, options) ??
        caller.takeRest(lenient?.isGood.length ?? events)
      if (refusal !== undefined) return { ...refusal, events }
      const records = encodeRecords(parsed.events, receivedAt(Date.now()), facts)
      if (records.bytes.length + events * RECORD_OVERHEAD_BYTES <= MAX_ENCODED_BATCH_BYTES) {
        const eventIds = eventIdsJson(records)
        if (lenient === undefined) return { kind: 'encoded', caller, records, eventIds }
        const { errors, mayBeMore, isGood } = lenient
        return {
          kind: 'encoded',
          caller,
          records,
          eventIds: idsInOrder(eventIds, isGood),
          faults: { errors, mayBeMore },
        }
      }
      const detail = `The encoded events must have at most ${MAX_ENCODED_BATCH_BYTES} bytes in total.`
      return { kind: 'refused', problem: 'too-large', detail, events }
    } finally {
      this.#budget.giveBack(heldBytes)
    }
  }

  #optionsFor(request: IncomingMessage, { label }: Caller): ParseOptions {
    const options = prefersLenient(request) ? this.#lenientOptions : this.#parseOptions
    return label === undefined ? options : { ...options, label }
  }

  /** Counts the faulty events of a lenient batch, each by its own problem. */
  #countFaulty({ counts }: LenientFaults): void {
    for (const [problem, events] of counts) {
      this.#stats.received += events
      this.#stats.reject(problem, events)
    }
  }

  #countRefused(refusal: Refusal | { kind: 'aborted' }): void {
    const events = refusal.kind === 'refused' ? (refusal.events ?? 1) : 1
    if (events === 0) return
    this.#stats.received += events
    if (refusal.kind === 'aborted') this.#stats.reject('aborted', events)
    else this.#stats.reject(refusal.reason ?? refusal.problem, events)
  }
}

/** The ids of the good events, at their places among all events of the batch. */
function idsInOrder(idsOfGood: string, isGood: readonly boolean[]): string {
  const ids = idsOfGood.split(',')
  let next = 0
  return isGood.map((good) => (good ? ids[next++] : 'null')).join(',')
}
