import { escapeControls } from '../platform/escape-controls.ts'

/*
 * Determines which partitions of a topic a consumer group reads. Kafka allows members with different topics in one group,
 * and a leader may assign partitions of a topic to a member that does not subscribe to it: they are assigned, but not
 * read. Used by the sink, the doctor and verify. Pure.
 */

export interface GroupMember {
  memberId: string
  clientId: string
  host: string
  /** Topics that the member subscribes to. */
  topics: readonly string[]
  /** Assigned partitions by topic, whether or not the member reads them. */
  assigned: ReadonlyMap<string, readonly number[]>
}

/** A group as described by Kafka. Topics and partitions are known only in the state `Stable`. */
export interface GroupDescription {
  /** `Stable`, `Empty`, `Dead`, `PreparingRebalance` or `CompletingRebalance`. */
  state: string
  members: readonly GroupMember[]
}

/** A member that reads another topic. */
export interface OtherReader {
  topic: string
  clientId: string
  host: string
}

export interface GroupAssessment {
  /** Partitions that no member reads: not assigned, or assigned to a member that does not subscribe to the topic. */
  unreadPartitions: number[]
  /** One member for each other topic that is subscribed to, sorted by topic. */
  others: OtherReader[]
}

/** What to do about a group with members that read different topics. */
export const SEPARATE_GROUPS = 'set a different KAFKA_GROUP_ID for one of the two'

/** During a rebalance the assignments are unknown. */
export function isRebalancing({ state, members }: GroupDescription): boolean {
  return members.length > 0 && state !== 'Stable'
}

/** Returns undefined during a rebalance. */
export function assessGroup(
  group: GroupDescription,
  topic: string,
  partitions: readonly number[],
): GroupAssessment | undefined {
  if (isRebalancing(group)) return undefined
  const { members } = group
  const read = new Set(
    members
      .filter((member) => member.topics.includes(topic))
      .flatMap((member) => member.assigned.get(topic) ?? []),
  )
  const others = new Map<string, OtherReader>()
  for (const { topics, clientId, host } of members) {
    for (const other of topics) if (other !== topic) others.set(other, { topic: other, clientId, host })
  }
  return {
    unreadPartitions: partitions.filter((partition) => !read.has(partition)).toSorted((a, b) => a - b),
    others: [...others.values()].toSorted((a, b) => (a.topic < b.topic ? -1 : 1)),
  }
}

/** Formats ascending partition numbers: `partition 3`, `partitions 0-2, 5 and 7`. */
export function formatPartitions(partitions: readonly number[]): string {
  const runs: [first: number, last: number][] = []
  for (const partition of partitions) {
    const run = runs.at(-1)
    if (run !== undefined && partition === run[1] + 1) run[1] = partition
    else runs.push([partition, partition])
  }
  const names = runs.flatMap(([first, last]) =>
    last - first < 2 ? [...new Set([first, last])].map(String) : [`${first}-${last}`],
  )
  const text = names.length < 2 ? names.join('') : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`
  return `${partitions.length === 1 ? 'partition' : 'partitions'} ${text}`
}

const MAX_LISTED_READERS = 3
const MAX_CLIENT_ID_LENGTH = 80

/** Formats readers of other topics: `"orders" (firehose-sink at 10.0.0.7)`. Lists the first three and counts the rest. */
export function formatReaders(others: readonly OtherReader[]): string {
  const named = others
    .slice(0, MAX_LISTED_READERS)
    .map(({ topic, clientId, host }) => `"${topic}" (${printable(clientId)} at ${host})`)
  const rest = others.length - named.length
  return named.join(', ') + (rest > 0 ? ` and ${rest} more` : '')
}

/** Clients choose their ids freely. */
function printable(clientId: string): string {
  return escapeControls(clientId.slice(0, MAX_CLIENT_ID_LENGTH))
}
