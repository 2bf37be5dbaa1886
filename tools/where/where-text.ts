/** The output of `npx firehose where`. Pure: every function returns text that is safe for a terminal. */
import { escapeControls } from '../../platform/escape-controls.ts'
import { type FoundLetter, type NotStored, OPTIONAL, type StoredEvent, type Whereabouts } from './where.ts'

/** For people. */
export function whereText({ eventId, row, letters, notStored }: Whereabouts, topic: string): string {
  const fields: [string, string][] = []
  if (row !== undefined) {
    fields.push(['stored', `a row of events, event_id ${eventId}`])
    fields.push(['received_at', row.received_at])
    if (row.user_id !== null) fields.push(['user_id', row.user_id])
    fields.push(['timestamp', row.timestamp])
    for (const name of OPTIONAL) {
      const value = row[name] ?? null
      if (value !== null) fields.push([name, value])
    }
    if (row.metadata !== null) fields.push(['metadata', row.metadata])
  }
  for (const letter of letters) {
    const { partition, offset, cluster_id, reason, sqlstate, state, created_at, message } = letter
    fields.push(
      ['dead letter', `${partition}:${offset} of topic ${letter.topic}, cluster ${cluster_id}`],
      ['reason', [reason, sqlstate].filter((part) => part !== null).join(' ')],
      ['state', state],
      ['at', created_at],
      ['message', message],
    )
  }
  const lines = fields.map(([name, value]) => escapeControls(`${name.padEnd(13)}${value}`))
  if (notStored !== undefined) {
    lines.push(
      escapeControls(`Not seen: there is no row and no dead letter with the id ${eventId}.`),
      escapeControls(notStoredText(notStored, topic)),
    )
  }
  return lines.join('\n')
}

function notStoredText(notStored: NotStored, topic: string): string {
  if ('unknown' in notStored) {
    return `${notStored.unknown}, so it is not known how far the sink is: the event may still be in Kafka.`
  }
  const { count } = notStored
  if (count === 0n)
    return `The sink has stored every record of topic ${topic}, so the event does not wait there.`
  const records = count === 1n ? '1 record' : `${count.toLocaleString('en-US')} records`
  return `${records} of topic ${topic} ${count === 1n ? 'is' : 'are'} not stored yet, and the event may be among them.`
}

/** One JSON object. The digits of numbers are PostgreSQL's, so it cannot be made by JSON.stringify() alone. */
export function whereJson({ eventId, row, letters, notStored }: Whereabouts): string {
  const found = row === undefined ? (letters.length === 0 ? 'not_seen' : 'dead_letter') : 'stored'
  const members = [
    `"event_id":${JSON.stringify(eventId)}`,
    `"found":"${found}"`,
    `"row":${row === undefined ? 'null' : rowJson(row)}`,
    `"dead_letters":${JSON.stringify(letters.map(letterObject))}`,
    `"records_not_stored":${notStored !== undefined && 'count' in notStored ? notStored.count : 'null'}`,
    `"problem":${notStored !== undefined && 'unknown' in notStored ? JSON.stringify(notStored.unknown) : 'null'}`,
  ]
  // JSON.stringify() does not escape DEL and the C1 controls; in JSON strings, they may be escaped.
  return escapeControls(`{${members.join(',')}}`)
}

function rowJson(row: StoredEvent): string {
  const texts = (['timestamp', 'received_at', ...OPTIONAL] as const).map(
    (name) => `"${name}":${JSON.stringify(row[name] ?? null)}`,
  )
  const metadata = row.metadata === null ? '' : `,"metadata":${row.metadata}`
  return `{"user_id":${row.user_id_json},${texts.join(',')}${metadata}}`
}

function letterObject(letter: FoundLetter): Record<string, unknown> {
  const { cluster_id, topic, partition, offset, reason, sqlstate, state, message, created_at } = letter
  return { cluster_id, topic, partition, offset, reason, sqlstate, state, message, created_at }
}
