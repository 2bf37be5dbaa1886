// The output of `firehose dlq`. Pure: every function returns text that is safe for a terminal.
import { isUtf8 } from 'node:buffer'
import {
  type HistoryEntry,
  type Letter,
  type LetterHead,
  placeOf,
  PROSPECTS,
  type ReplayOutcome,
} from '../dead-letters/letter.ts'
import type { LetterGroup } from '../dead-letters/letters.ts'
import { escapeControls } from '../platform/escape-controls.ts'
import { formatTable } from '../platform/table.ts'

const WIDTH = 100

/** The number of letters, in one line for each reason (and cluster, if there are several). */
export function summaryText(groups: readonly LetterGroup[]): string {
  const lines = new Map<string, { clusterId: string; reason: string; groups: LetterGroup[] }>()
  for (const group of groups) {
    const { clusterId, reason } = group
    const name = JSON.stringify([clusterId, reason])
    const line = lines.get(name) ?? { clusterId, reason, groups: [] }
    line.groups.push(group)
    lines.set(name, line)
  }
  const withCluster = hasSeveralClusters(groups)
  const rows = [...lines.values()].map(({ clusterId, reason, groups: own }) => {
    const count = (state: string): string => grouped(sum(own.filter((group) => group.state === state)))
    const oldest = own.reduce((least, group) => (group.oldest < least ? group.oldest : least), new Date())
    const newest = own.reduce((most, group) => (group.newest > most ? group.newest : most), new Date(0))
    const cells = [reason, count('open'), count('replayed'), count('discarded'), time(oldest), time(newest)]
    return withCluster ? [clusterId, ...cells] : cells
  })
  const names = ['reason', 'open', 'replayed', 'discarded', 'oldest', 'newest']
  return formatTable(withCluster ? ['cluster', ...names] : names, rows, WIDTH)
}

/** A table of letters, without their values. */
export function listText(letters: readonly LetterHead[], groups: readonly LetterGroup[]): string {
  const withCluster = hasSeveralClusters(groups)
  const names = ['place', 'at', 'state', 'reason', 'sqlstate', 'event_id', 'bytes', 'message']
  const rows = letters.map((letter) => {
    const { createdAt, state, reason, sqlstate, eventId, valueBytes, message } = letter
    const cells = [
      placeOf(letter),
      time(createdAt),
      state,
      reason,
      sqlstate,
      eventId,
      String(valueBytes),
      message,
    ]
    return withCluster ? [letter.clusterId, ...cells] : cells
  })
  return formatTable(withCluster ? ['cluster', ...names] : names, rows, WIDTH)
}

/** Everything about one letter. */
export function letterText(letter: Letter, topic: string, history: readonly HistoryEntry[]): string {
  const fields: [string, string | null][] = [
    ['place', `${placeOf(letter)} of topic ${topic}, cluster ${letter.clusterId}`],
    ['state', letter.state],
    ['at', time(letter.createdAt)],
    ['reason', letter.reason],
    ['sqlstate', letter.sqlstate],
    ['message', letter.message],
    ['event_id', letter.eventId],
    ['record time', recordTime(letter.timestampMs)],
    ['headers', JSON.stringify(letter.headers)],
    ['value', `${letter.valueBytes} bytes${valueForm(letter)}`],
  ]
  const lines = fields.map(([name, text]) => `${name.padEnd(12)}${escapeControls(text ?? '-')}`)
  if (letter.value !== null) lines.push(valueText(letter.value))
  lines.push('', history.length === 0 ? 'Nothing has been done about it yet.' : historyText(history))
  return lines.join('\n')
}

function valueForm({ value, sha256, valueBytes }: Letter): string {
  if (sha256 !== null) return `, only in Kafka; SHA-256 ${sha256.toString('hex')}`
  if (value === null) return valueBytes === 0 ? ': the record had none' : ''
  return isUtf8(value) ? '' : ', not UTF-8, in hexadecimal'
}

/** The value as text with control characters escaped, or in hexadecimal if it is not UTF-8. */
export function valueText(value: Buffer): string {
  return isUtf8(value) ? escapeControls(value.toString('utf8')) : value.toString('hex')
}

/** The record's Kafka timestamp; a producer may have sent any number. */
function recordTime(timestampMs: number | null): string | null {
  if (timestampMs === null) return null
  const date = new Date(timestampMs)
  return timestampMs < 0 || Number.isNaN(date.getTime()) ? String(timestampMs) : date.toISOString()
}

function historyText(history: readonly HistoryEntry[]): string {
  const rows = history.map(({ at, by, action, outcome, eventId, reason, sqlstate, message }) => [
    time(at),
    by,
    action,
    outcome,
    eventId,
    [reason, sqlstate].filter((part) => part !== null).join(' '),
    message,
  ])
  return formatTable(['at', 'by', 'action', 'outcome', 'event_id', 'reason', 'message'], rows, 1_000)
}

/** What a replay is about to do, in one line for each reason. */
export function planText(groups: readonly LetterGroup[], newId: boolean): string {
  const withCluster = hasSeveralClusters(groups)
  const rows = groups.map((group) => {
    const cells = [group.reason, grouped(group.count), time(group.oldest), prospect(group.reason, newId)]
    return withCluster ? [group.clusterId, ...cells] : cells
  })
  const names = ['reason', 'letters', 'oldest', 'expected result']
  return formatTable(withCluster ? ['cluster', ...names] : names, rows, WIDTH)
}

function prospect(reason: string, newId: boolean): string {
  if (reason === 'event_id_conflict' && newId) return 'stored, under a new id if another event has theirs'
  return (PROSPECTS as Record<string, string>)[reason] ?? ''
}

/** One line about a letter that a replay could not store. */
export function refusalText(
  letter: LetterHead,
  { reason, sqlstate, message }: Extract<ReplayOutcome, { kind: 'refused' }>,
): string {
  const code = sqlstate === null ? '' : ` ${sqlstate}`
  const id = letter.eventId === null ? '' : ` (event ${letter.eventId})`
  return escapeControls(
    `STAYS ${letter.state.toUpperCase()}  ${placeOf(letter)}${id}  ${reason}${code}: ${message}`,
  )
}

/** A letter as one line of JSON. */
export function headJson(letter: LetterHead, topic: string): string {
  return jsonLine(headObject(letter, topic))
}

/** Like headJson(), with value, headers and history. */
export function letterJson(letter: Letter, topic: string, history: readonly HistoryEntry[]): string {
  const { value, sha256, headers, timestampMs } = letter
  return jsonLine({
    ...headObject(letter, topic),
    timestamp_ms: timestampMs,
    headers,
    value:
      value === null ? null : isUtf8(value) ? value.toString('utf8') : { base64: value.toString('base64') },
    value_sha256: sha256?.toString('hex') ?? null,
    history: history.map(({ eventId, ...entry }) => ({ ...entry, event_id: eventId })),
  })
}

function headObject(letter: LetterHead, topic: string): Record<string, unknown> {
  return {
    cluster_id: letter.clusterId,
    topic,
    partition: letter.partition,
    offset: letter.offset.toString(), // may be past 2^53, like the offsets of verify
    event_id: letter.eventId,
    value_bytes: letter.valueBytes,
    reason: letter.reason,
    sqlstate: letter.sqlstate,
    message: letter.message,
    created_at: letter.createdAt.toISOString(),
    state: letter.state,
  }
}

/** JSON.stringify() does not escape DEL and the C1 controls; in JSON strings, they may be escaped. */
function jsonLine(value: unknown): string {
  return escapeControls(JSON.stringify(value))
}

export function sum(groups: readonly LetterGroup[]): number {
  return groups.reduce((total, { count }) => total + count, 0)
}

/** `12,345`. */
export function grouped(count: number): string {
  return count.toLocaleString('en-US')
}

/** `1 dead letter`, `2 dead letters`. */
export function lettersText(count: number): string {
  return `${grouped(count)} dead letter${count === 1 ? '' : 's'}`
}

function hasSeveralClusters(groups: readonly LetterGroup[]): boolean {
  return groups.some(({ clusterId }) => clusterId !== groups[0]?.clusterId)
}

/** In UTC, to the second. */
function time(date: Date): string {
  return `${date.toISOString().slice(0, 19)}Z`
}
