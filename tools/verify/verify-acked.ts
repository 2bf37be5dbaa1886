import { type AckedLine, readAckFile } from '../load/ack-file.ts'
import * as sql from './acked-sql.ts'
import { copyBytes, copyRows } from './copy-rows.ts'
import { keepRowsInPlace } from './keep-rows-in-place.ts'
import { type Count, countsOf, findingsOf, inRange, judge } from './judge-range.ts'
import { storedRows } from './stored-rows.ts'
import type { VerifyContext } from './verify-context.ts'

/**
 * Looks up the events of an ack file. Those neither stored nor dead-lettered are deferred until the topic has been read:
 * its ends are queried after the file was read, so it has records of all of them.
 *
 * @throws as readAckFile does; PostgreSQL's error
 */
export async function lookUpAcked(
  context: VerifyContext,
  path: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  let range: AckedLine[] = []
  let bytes = 0
  for await (const lines of readAckFile(path, signal)) {
    range = range.length === 0 ? lines : range.concat(lines)
    for (const { body } of lines) bytes += body.length
    if (range.length < context.limits.items && bytes < context.limits.bytes) continue
    await judgeLines(context, range)
    range = []
    bytes = 0
  }
  await judgeLines(context, range)
}

/** Judges the deferred events, once the topic has been read. @throws PostgreSQL's error */
export async function judgePending(context: VerifyContext): Promise<void> {
  let line: string | null = '0'
  while (line !== null) line = await judgePendingAfter(context, line)
}

/** @returns the last line that was judged; null if none was left */
async function judgePendingAfter(context: VerifyContext, line: string): Promise<string | null> {
  const { client, limits } = context
  let taken: { line: string; event_id: string }[] = []
  await inRange(
    client,
    async () => {
      taken = (await client.query(sql.TAKE_PENDING, [line, limits.items])).rows
    },
    async () => {
      if (taken.length === 0) return
      await keepRowsInPlace(client)
      const ids = taken.map(({ event_id }) => event_id)
      await settle(context, await judgeByIds(context, ids))
    },
  )
  return taken.at(-1)?.line ?? null
}

async function judgeLines(context: VerifyContext, lines: readonly AckedLine[]): Promise<void> {
  const { client, verdict } = context
  const row = ({ number, eventId, body }: AckedLine) => `${number}\t${eventId}\t${copyBytes(body)}`
  await inRange(
    client,
    async () => await copyRows(client, 'verify_acked', lines, row),
    async () => {
      const ids = lines.map(({ eventId }) => eventId)
      const count = await judgeByIds(context, ids)
      const [stored, dead] = [count('stored'), count('dead')]
      verdict.acked += lines.length
      verdict.acked_stored += stored
      verdict.acked_dead += dead
      const pending = lines.length - stored - dead
      if (pending > 0) await client.query(sql.KEEP_PENDING)
      context.pending += pending
    },
  )
  context.report()
}

async function judgeByIds(context: VerifyContext, ids: readonly string[]): Promise<Count> {
  const { client, clusterId, topic, isIncomplete, hasExpired, retention, table } = context
  const values = [clusterId, topic, isIncomplete, hasExpired, retention.eventDays, retention.now]
  const rows = storedRows(
    table,
    ids.map((id) => id.toLowerCase()),
    values,
  )
  await judge(client, sql.judgeAcked(table.userIdType, rows), values)
  return await countsOf(client, sql.COUNT_ACKED)
}

async function settle(context: VerifyContext, count: Count): Promise<void> {
  const { client, verdict } = context
  verdict.acked_stored += count('stored')
  verdict.acked_dead += count('dead')
  verdict.acked_past_retention += count('past_retention')
  verdict.acked_not_yet_read += count('unread')
  verdict.acked_not_judged += count('unjudged')
  if (count('missing') + count('different') === 0) return
  for (const { kind, finding } of await findingsOf(client, sql.ACKED_FINDINGS)) context.add(kind, finding)
}
