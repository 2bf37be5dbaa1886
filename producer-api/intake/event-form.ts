import type { CanonicalEvent } from '../../event/fields.ts'
import type { JsonScan } from '../../event/json/scan-result.ts'
import { sliceEvent } from '../../event/record/encode-fast.ts'
import type { ProblemError } from '../http/problem.ts'
import { eventFaults } from './explain-faults.ts'
import type { ParseFault } from './parse-faults.ts'
import { canonicalEvent, type EventOptions } from './validate.ts'

/** How scanned JSON is read as an event: as one of our own, or as a CloudEvent. */
export interface EventForm {
  /** The event in `scan`, or undefined if it has any fault. Its metadata are a view of the body. */
  readonly read: (body: Buffer, scan: JsonScan, options: EventOptions) => CanonicalEvent | undefined
  /** All its faults. Each pointer begins with `prefix`. */
  readonly faults: (body: Buffer, scan: JsonScan, prefix: string, options: EventOptions) => ProblemError[]
  /** Why it cannot be an event although it may be well-formed. `subject` names it in the text. */
  readonly refusal?: (body: Buffer, scan: JsonScan, subject: string) => ParseFault | undefined
}

export const OWN_FORM: EventForm = {
  read: (body, scan, options) =>
    sliceEvent(body, scan, options.userIdType) ?? canonicalEvent(body, scan, options),
  faults: (body, scan, prefix, { userIdType }) => eventFaults(body, scan, prefix, userIdType),
}
