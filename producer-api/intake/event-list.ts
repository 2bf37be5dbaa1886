/** Collects the events of a body, value by value: all of them or none, or, in a lenient batch, the good ones. No I/O. */
import type { CanonicalEvent } from '../../event/fields.ts'
import type { JsonScan } from '../../event/json/scan-result.ts'
import { MAX_BATCH_EVENTS, MAX_EVENT_BYTES, MAX_FAULTS } from '../../event/limits.ts'
import type { ProblemError } from '../http/problem.ts'
import type { EventForm } from './event-form.ts'
import {
  invalid,
  invalidBatch,
  listed,
  type ListedFaults,
  type ParseFault,
  tooLarge,
} from './parse-faults.ts'
import type { EventOptions } from './validate.ts'

export interface ParseOptions extends EventOptions {
  /** Default MAX_EVENT_BYTES. */
  maxEventBytes?: number
  /** Whether the good events of a batch are taken although others have faults. Default false; one event alone ignores it. */
  isLenient?: boolean
}

/** What a lenient batch has beside its good events. */
export interface LenientFaults extends ListedFaults {
  /** For each event of the body, in its order: whether it is good. */
  isGood: boolean[]
  /** How many events are refused, by what is wrong with them. */
  counts: Map<ParseFault['problem'], number>
}

/** A refused body. `count`: its events that are refused with it, if it could be read to its end. */
type Refused = ParseFault & { count?: number; lenient?: LenientFaults }

/**
 * At least one event, in the order of the body. The metadata are views of the body. `lenient` is there if the batch was
 * read leniently, and then only.
 */
export type ParsedEvents = { ok: true; events: CanonicalEvent[]; lenient?: LenientFaults } | Refused

/** The events of one body. */
export interface EventList {
  /** Adds the value in the scan. Above a limit values are only counted: the rest of the body must still be valid JSON. */
  add: () => void
  /** Adds the fault of a value that is not JSON. Returns it if it refuses the body as a whole. */
  addFault: (fault: () => ParseFault) => ParseFault | undefined
  result: () => ParsedEvents
}

/** An empty list for the values that `scan` will find in the body. */
export function eventList(body: Buffer, scan: JsonScan, options: ParseOptions, form: EventForm): EventList {
  return options.isLenient === true
    ? new LenientList(body, scan, options, form)
    : new StrictList(body, scan, options, form)
}

/** Why the value in `scan` cannot be an event, whatever its fields are. `subject` names it in the text. */
export function refusalOf(
  subject: string,
  body: Buffer,
  scan: JsonScan,
  { maxEventBytes = MAX_EVENT_BYTES }: ParseOptions,
  form: EventForm,
): ParseFault | undefined {
  return tooLarge(subject, scan, maxEventBytes) ?? form.refusal?.(body, scan, subject)
}

/** Events until the first fault, then only faults. */
class StrictList implements EventList {
  readonly #body: Buffer
  readonly #scan: JsonScan
  readonly #options: ParseOptions
  readonly #form: EventForm
  readonly #events: CanonicalEvent[] = []
  readonly #errors: ProblemError[] = []
  #count = 0
  #faulty = 0
  #refusal: ParseFault | undefined

  constructor(body: Buffer, scan: JsonScan, options: ParseOptions, form: EventForm) {
    this.#body = body
    this.#scan = scan
    this.#options = options
    this.#form = form
  }

  add(): void {
    const index = this.#count++
    if (index >= MAX_BATCH_EVENTS || this.#refusal !== undefined) return
    this.#refusal = refusalOf(`Event ${index}`, this.#body, this.#scan, this.#options, this.#form)
    if (this.#refusal !== undefined) return
    if (this.#faulty === 0) {
      const event = this.#form.read(this.#body, this.#scan, this.#options)
      if (event !== undefined) {
        this.#events.push(event)
        return
      }
    }
    if (this.#errors.length >= MAX_FAULTS) return
    const faults = this.#form.faults(this.#body, this.#scan, `/${index}`, this.#options)
    if (faults.length > 0) this.#faulty++
    this.#errors.push(...faults)
  }

  addFault(fault: () => ParseFault): ParseFault {
    return fault()
  }

  result(): ParsedEvents {
    const outside = outsideLimits(this.#count)
    if (outside !== undefined) return outside
    if (this.#refusal !== undefined) return { ...this.#refusal, count: this.#count }
    if (this.#faulty > 0) return { ...invalid(this.#errors), count: this.#count }
    return { ok: true, events: this.#events }
  }
}

/** The good events, and the faults of the others. */
class LenientList implements EventList {
  readonly #body: Buffer
  readonly #scan: JsonScan
  readonly #options: ParseOptions
  readonly #form: EventForm
  readonly #events: CanonicalEvent[] = []
  readonly #errors: ProblemError[] = []
  readonly #isGood: boolean[] = []
  readonly #counts: LenientFaults['counts'] = new Map()
  #count = 0

  constructor(body: Buffer, scan: JsonScan, options: ParseOptions, form: EventForm) {
    this.#body = body
    this.#scan = scan
    this.#options = options
    this.#form = form
  }

  add(): void {
    const index = this.#count++
    if (index >= MAX_BATCH_EVENTS) return
    const refusal = refusalOf('An event', this.#body, this.#scan, this.#options, this.#form)
    const event = refusal === undefined ? this.#form.read(this.#body, this.#scan, this.#options) : undefined
    this.#isGood.push(event !== undefined)
    if (event !== undefined) this.#events.push(event)
    else {
      this.#refuse(refusal?.problem ?? 'invalid-event', () => {
        if (refusal !== undefined) return [{ pointer: `/${index}`, detail: refusal.detail }]
        return this.#form.faults(this.#body, this.#scan, `/${index}`, this.#options)
      })
    }
  }

  addFault(fault: () => ParseFault): undefined {
    const index = this.#count++
    if (index >= MAX_BATCH_EVENTS) return
    this.#isGood.push(false)
    this.#refuse('not-json', () => [{ pointer: `/${index}`, detail: fault().detail }])
  }

  result(): ParsedEvents {
    const outside = outsideLimits(this.#count)
    if (outside !== undefined) return outside
    const lenient = { ...listed(this.#errors), isGood: this.#isGood, counts: this.#counts }
    if (this.#events.length === 0) return { ...invalid(this.#errors), count: 0, lenient }
    return { ok: true, events: this.#events, lenient }
  }

  #refuse(problem: ParseFault['problem'], faults: () => ProblemError[]): void {
    this.#counts.set(problem, (this.#counts.get(problem) ?? 0) + 1)
    if (this.#errors.length < MAX_FAULTS) this.#errors.push(...faults())
  }
}

function outsideLimits(count: number): Refused | undefined {
  if (count > 0 && count <= MAX_BATCH_EVENTS) return undefined
  const detail = `A batch must have 1 to ${MAX_BATCH_EVENTS} events; this one has ${count}.`
  return { ...invalidBatch(detail), count }
}
