/** Which parser reads the body of a request: by its path, its content type, and the headers of a CloudEvent. */
import type { IncomingMessage } from 'node:http'
import { contentTypeOf, isJson } from '../http/content-type.ts'
import { isInBinaryMode, structuredFrom } from './cloud-event-headers.ts'
import { BINARY, STRUCTURED } from './cloud-events.ts'
import type { EventForm } from './event-form.ts'
import type { ParsedEvents, ParseOptions } from './event-list.ts'
import { parseData, parseEvent, parseEventArray, parseEventLines, parseSingleBatch } from './parse-body.ts'

export type Parse = (body: Buffer, options: ParseOptions) => ParsedEvents
type ParseForm = (body: Buffer, options: ParseOptions, form: EventForm) => ParsedEvents

/** How the bodies of one path are read. */
export interface Parsers {
  readonly byType: ReadonlyMap<string, Parse>
  /** For a body that is one event. */
  readonly single: ParseForm
  /** Why a type is not read here, if there is more to say than which are. */
  readonly elsewhere: ReadonlyMap<string, string>
}

const CLOUD_EVENT = 'application/cloudevents+json'
const CLOUD_EVENTS = 'application/cloudevents-batch+json'
const DEFAULT_TYPE = 'application/json'

const BINARY_DATA_NOT_JSON =
  'The content type of a CloudEvent in binary mode is that of its data: it must be JSON in UTF-8, such as application/json.'

/** Beacons of browsers can only send text/plain, or no type at all, which is read as JSON. */
export const EVENT_PARSERS: Parsers = {
  byType: new Map<string, Parse>([
    ['application/json', parseEvent],
    ['text/plain', parseEvent],
    [CLOUD_EVENT, (body, options) => parseEvent(body, options, STRUCTURED)],
  ]),
  single: parseEvent,
  elsewhere: new Map([[CLOUD_EVENTS, 'A batch of CloudEvents must be sent to POST /events.']]),
}
export const BATCH_PARSERS: Parsers = {
  byType: new Map<string, Parse>([
    ['application/json', parseEventArray],
    ['text/plain', parseEventArray],
    ['application/x-ndjson', parseEventLines],
    [CLOUD_EVENTS, (body, options) => parseEventArray(body, options, STRUCTURED)],
    [CLOUD_EVENT, (body, options) => parseSingleBatch(body, options, STRUCTURED)],
  ]),
  single: parseSingleBatch,
  elsewhere: new Map(),
}

/** The parser of a request's body, or a sentence that says why there is none. */
export function parserFor(request: IncomingMessage, parsers: Parsers): Parse | string {
  const { byType, single, elsewhere } = parsers
  const isBinary = isInBinaryMode(request)
  const text = request.headers['content-type'] || DEFAULT_TYPE
  const exact = byType.get(text)
  if (exact !== undefined && !isBinary) return exact
  const contentType = contentTypeOf(text)
  const { type, isUtf8 } = contentType
  if (isBinary && !type.startsWith('application/cloudevents')) {
    if (!isJson(contentType)) return BINARY_DATA_NOT_JSON
    return (body, options) =>
      parseData(body, (data) => single(structuredFrom(request, data), options, BINARY))
  }
  const parse = isUtf8 ? byType.get(type) : undefined
  return (
    parse ?? elsewhere.get(type) ?? `The content type must be ${[...byType.keys()].join(' or ')}, in UTF-8.`
  )
}
