import { setTimeout as delay } from 'node:timers/promises'
import { describeTopic } from '../../kafka/topic-reader.ts'
import { ask } from '../stack/ask.ts'
import { type SinkOffset, unstoredRecords } from './sink-bounds.ts'
import type { VerifyOptions } from './verify.ts'
import { SINK_OFFSETS } from './verify-sql.ts'

/** Where Kafka and PostgreSQL are. */
export type Targets = Pick<
  VerifyOptions,
  | 'databaseUrl'
  | 'kafkaBootstrapServers'
  | 'kafkaAccess'
  | 'topic'
  | 'groupId'
  | 'retentionDays'
  | 'deadLetterDays'
>

export interface WaitOptions {
  /** Waiting ends when nothing has been stored for this long. */
  stuckMs: number
  /** Ends the wait. */
  signal: AbortSignal
  /** Called while waiting. */
  onWait: (sentence: string) => void
}

type Topic = Awaited<ReturnType<typeof describeTopic>>

const PAUSE_MS = 500

/** The topic as it is now: all that was acknowledged so far is below its ends. @throws as describeTopic() does */
export async function topicNow({ kafkaAccess, kafkaBootstrapServers, topic }: Targets): Promise<Topic> {
  return await describeTopic({ ...kafkaAccess, brokers: kafkaBootstrapServers.split(',') }, topic)
}

/** The number of records below the topic's ends that the sink has not stored. @throws PostgreSQL's error */
export async function countUnstored(
  { databaseUrl, topic }: Targets,
  { clusterId, partitions }: Topic,
): Promise<number> {
  const rows = await ask<SinkOffset>(databaseUrl, SINK_OFFSETS, { values: [topic] })
  return Number(unstoredRecords(partitions, rows, clusterId))
}

/**
 * Waits until the sink has stored all that is in the topic now, or has stored nothing for `stuckMs`. Outages may last, so
 * an unanswered query only counts as no progress.
 *
 * @throws if Kafka or PostgreSQL does not answer when the wait ends
 */
export async function untilStored(targets: Targets, { stuckMs, signal, onWait }: WaitOptions): Promise<void> {
  let topic: Topic | undefined
  let least = Number.POSITIVE_INFINITY
  let lastProgressMs = performance.now()
  for (;;) {
    const startMs = performance.now()
    let what: string
    let failure: Error | undefined
    try {
      topic ??= await topicNow(targets)
      const unstored = await countUnstored(targets, topic)
      if (unstored === 0) return
      if (unstored < least) lastProgressMs = startMs
      least = Math.min(least, unstored)
      what = `${unstored.toLocaleString('en-US')} records are not yet stored`
    } catch (error) {
      what = `${topic === undefined ? 'Kafka' : 'PostgreSQL'} does not answer (${(error as Error).message})`
      failure = new Error(what, { cause: error })
    }
    const idleMs = startMs - lastProgressMs
    if (idleMs > stuckMs || signal.aborted) {
      if (failure !== undefined) throw failure
      return
    }
    onWait(`${what}; nothing new for ${Math.round(idleMs / 1000)} of ${stuckMs / 1000} s`)
    await delay(PAUSE_MS, undefined, { signal }).catch(() => {})
  }
}
