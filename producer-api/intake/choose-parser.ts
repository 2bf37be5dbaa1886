/** Which parser reads the body of a request. */
import type { IncomingMessage } from 'node:http'
import { nameAndValue, splitUnquoted } from '../http/quoted-list.ts'
import type { ParsedEvents, ParseOptions } from './event-list.ts'
import { parseEvent, parseEventArray, parseEventLines } from './parse-body.ts'

export type Parse = (body: Buffer, options: ParseOptions) => ParsedEvents
/** By media type. */
export type Parsers = ReadonlyMap<string, Parse>

/** Beacons of browsers can only send text/plain, or no type at all, which is read as JSON. */
export const EVENT_PARSERS: Parsers = new Map([
  ['application/json', parseEvent],
  ['text/plain', parseEvent],
])
export const BATCH_PARSERS: Parsers = new Map([
  ['application/json', parseEventArray],
  ['text/plain', parseEventArray],
  ['application/x-ndjson', parseEventLines],
])
const DEFAULT_TYPE = 'application/json'
/** US-ASCII is a part of UTF-8. */
const CHARSETS = ['utf-8', 'utf8', 'us-ascii']

/** The parser for the content type; undefined if the type, or a charset other than UTF-8 and US-ASCII, is not supported. */
export function parserFor({ headers }: IncomingMessage, parsers: Parsers): Parse | undefined {
  const contentType = headers['content-type'] || DEFAULT_TYPE
  const exact = parsers.get(contentType)
  if (exact !== undefined) return exact
  const [type = '', ...parameters] = splitUnquoted(contentType, ';')
  const charset = parameters.map(nameAndValue).find(([name]) => name === 'charset')
  if (charset !== undefined && !CHARSETS.includes(charset[1].toLowerCase())) return undefined
  return parsers.get(type.trim().toLowerCase())
}
