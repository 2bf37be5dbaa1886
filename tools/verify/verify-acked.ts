import { type AckedLine, readAckFile } from '../load/ack-file.ts'
import { copyBytes, copyRows } from './copy-rows.ts'
import { countsOf, findingsOf, judgeRange } from './judge-range.ts'
import type { VerifyContext } from './verify-context.ts'
import * as sql from './verify-sql.ts'

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
  const { client, clusterId, topic, limits } = context
  let last: string | null = null
  const fill = async (): Promise<void> => {
    const { rows } = await client.query<{ last_line: string | null }>(sql.TAKE_PENDING, [line, limits.items])
    last = rows[0]?.last_line ?? null
  }
  await judgeRange(
    client,
    fill,
    sql.judgeAcked(context.userIdType),
    [clusterId, topic, context.isIncomplete],
    async () => await settle(context),
  )
  return last
}

async function judgeLines(context: VerifyContext, lines: readonly AckedLine[]): Promise<void> {
  const { client, verdict, clusterId, topic } = context
  const row = ({ number, eventId, body }: AckedLine) => `${number}\t${eventId}\t${copyBytes(body)}`
  await judgeRange(
    client,
    async () => await copyRows(client, 'verify_acked', lines, row),
    sql.judgeAcked(context.userIdType),
    [clusterId, topic, context.isIncomplete],
    async () => {
      const count = await countsOf(client, sql.COUNT_ACKED)
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

async function settle(context: VerifyContext): Promise<void> {
  const { client, verdict } = context
  const count = await countsOf(client, sql.COUNT_ACKED)
  verdict.acked_stored += count('stored')
  verdict.acked_dead += count('dead')
  verdict.acked_not_yet_read += count('unread')
  verdict.acked_not_judged += count('unjudged')
  if (count('missing') + count('different') === 0) return
  for (const { kind, finding } of await findingsOf(client, sql.ACKED_FINDINGS)) context.add(kind, finding)
}
