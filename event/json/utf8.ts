import { isUtf8 } from 'node:buffer'

/** The offset after a byte order mark at `start`, or `start`. Some programs on Windows write one (RFC 8259 section 8.1). */
export function skipByteOrderMark(buf: Buffer, start: number, end: number): number {
  return end - start >= 3 && buf[start] === 0xef && buf[start + 1] === 0xbb && buf[start + 2] === 0xbf
    ? start + 3
    : start
}

/** Offset of the first sequence that is not UTF-8 (RFC 3629), or -1. Fast for valid UTF-8. */
export function invalidUtf8Offset(buf: Buffer): number {
  if (isUtf8(buf)) return -1
  let at = 0
  for (;;) {
    const length = sequenceLength(buf, at)
    if (length === 0) return at
    at += length
  }
}

/** Length of the sequence at `at` by the table of RFC 3629 section 4, or 0 if it is invalid. */
function sequenceLength(buf: Buffer, at: number): number {
  const lead = buf[at] ?? 0xff
  if (lead < 0x80) return 1
  if (lead < 0xc2 || lead > 0xf4) return 0
  const length = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4
  // The second byte's range excludes overlong forms, surrogates and code points past U+10FFFF.
  const low = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80
  const high = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf
  const second = buf[at + 1] ?? 0
  if (second < low || second > high) return 0
  for (let i = 2; i < length; i++) if (((buf[at + i] ?? 0) & 0xc0) !== 0x80) return 0
  return length
}
