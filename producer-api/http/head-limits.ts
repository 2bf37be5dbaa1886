/** Limits for the head of a request: its URL and headers. */
import type { IncomingMessage } from 'node:http'

export interface HeadLimits {
  maxHeaders: number
  /** For the URL and the headers with what separates them. */
  maxHeaderBytes: number
}

/**
 * Node's parser reads this much more: it does not keep the Origin of a head that it refuses, so the page could not read
 * the response.
 */
export const SPARE_BYTES = 16 * 1024

/** "GET ", " HTTP/1.1", and ": " and the end of a line around a header. */
const LINE_BYTES = 15
const SEPARATOR_BYTES = 4

/** Whether a head is over a limit. Headers may be missing then, so the request must not be handled. */
export function isOverLimit(
  { method = '', url = '', rawHeaders }: IncomingMessage,
  { maxHeaders, maxHeaderBytes }: HeadLimits,
): boolean {
  if (rawHeaders.length > 2 * maxHeaders) return true
  let bytes = method.length + url.length + LINE_BYTES + (rawHeaders.length / 2) * SEPARATOR_BYTES
  for (const text of rawHeaders) bytes += text.length
  return bytes > maxHeaderBytes
}

/** The detail of a 431. */
export function headLimitsText({ maxHeaders, maxHeaderBytes }: HeadLimits): string {
  return `A request must have at most ${maxHeaders} headers of at most ${maxHeaderBytes} bytes in total.`
}
