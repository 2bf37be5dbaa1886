import { escapeControls } from '../platform/escape-controls.ts'

/*
 * Who reads what in a consumer group. Kafka lets members with different topics into one group, and a leader may give a
 * member partitions of a topic that it does not read: nobody reads them then, although each is assigned. The sink, the
 * doctor and verify judge that here, alike. Pure.
 */

export interface GroupMember {
  memberId: string
  clientId: string
  host: string
  /** What it subscribes to. */
  topics: readonly string[]
  /** The partitions that it was given, by topic, read or not. */
  assigned: ReadonlyMap<string, readonly number[]>
}

/** A group as Kafka describes it. Only of a `Stable` one it tells topics and partitions. */
export interface GroupLook {
  /** As Kafka names it: `Stable`, `Empty`, `Dead`, `PreparingRebalance`, `CompletingRebalance`. */
  state: string
  members: readonly GroupMember[]
}

/** A member that reads another topic. */
export interface OtherReader {
  topic: string
  clientId: string
  host: string
}

export interface GroupJudgement {
  /** Partitions of the topic that no member reads: assigned to nobody, or to one that does not subscribe to the topic. */
  unreadPartitions: number[]
  /** One for each other topic that members subscribe to, by its name. */
  others: OtherReader[]
}

/** Undefined while the group shares out its partitions: nothing is known then. */
export function judgeGroup(
  { state, members }: GroupLook,
  topic: string,
  partitions: readonly number[],
): GroupJudgement | undefined {
  if (members.length > 0 && state !== 'Stable') return undefined
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

/** `partition 3`, `partitions 0-2, 5 and 7`: all of them, however many. They ascend. */
export function namePartitions(partitions: readonly number[]): string {
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

const NAMED_READERS = 3
const SHOWN_CLIENT_ID = 80

/** `"orders" (firehose-sink at 10.0.0.7)`; of many, the first. */
export function nameReaders(others: readonly OtherReader[]): string {
  const named = others
    .slice(0, NAMED_READERS)
    .map(({ topic, clientId, host }) => `"${topic}" (${shown(clientId)} at ${host})`)
  const rest = others.length - named.length
  return named.join(', ') + (rest > 0 ? ` and ${rest} more` : '')
}

/** Any client may call itself anything. */
function shown(clientId: string): string {
  return escapeControls(clientId.slice(0, SHOWN_CLIENT_ID))
}
