import {
  type GroupDescription,
  assessGroup,
  formatPartitions,
  formatReaders,
} from '../../kafka/group-members.ts'
import { kafkaErrorType } from '../../kafka/errors.ts'
import { sleep } from '../../platform/sleep.ts'
import type { VerifyContext } from './verify-context.ts'

/** How long to wait for a rebalance to end. */
const SETTLE_LIMIT_MS = 10_000
const SETTLE_STEP_MS = 250

/**
 * Notes which partitions with unread records are assigned to no member of the group. If the group has members, these
 * records are never stored unless someone acts: a problem. If it has none, the sink is stopped or in another group,
 * which does not affect what is stored: a note.
 */
export async function noteUnreadPartitions(
  { topic, verdict, notYetRead }: VerifyContext,
  look: () => Promise<GroupDescription>,
  signal?: AbortSignal,
): Promise<void> {
  if (notYetRead.size === 0) return
  const waiting = [...notYetRead.keys()]
  const { group } = verdict
  let found: GroupDescription
  try {
    found = await lookSettled(look, signal)
  } catch (error) {
    signal?.throwIfAborted()
    const reason = kafkaErrorType(error) ?? (error as Error).message
    verdict.notes.push(
      `cannot tell who reads the rest, because group ${group} cannot be described: ${reason}`,
    )
    return
  }
  const assessment = assessGroup(found, topic, waiting)
  if (assessment === undefined) {
    verdict.notes.push(`cannot tell who reads the rest, because group ${group} is rebalancing`)
    return
  }
  const { unreadPartitions, others } = assessment
  if (unreadPartitions.length === 0) return
  const count = unreadPartitions.reduce((sum, partition) => sum + (notYetRead.get(partition) ?? 0), 0)
  verdict.unread_partitions = unreadPartitions
  verdict.unread_count = count
  const records = `${count === 1 ? '1 record' : `${count} records`} of ${formatPartitions(unreadPartitions)} not yet read`
  if (found.members.length === 0) {
    verdict.notes.push(
      `group ${group} has no members: ${records}, waiting for a sink (or set KAFKA_GROUP_ID to the sinks' group)`,
    )
    return
  }
  const remedy =
    others.length > 0
      ? `it has a member that reads another topic, ${formatReaders(others)}: give one of the two a KAFKA_GROUP_ID of its own`
      : 'sinks find new partitions within half a minute; after that, restart the members of the group'
  verdict.problems.push(`${records}, and no member of group ${group} reads them: ${remedy}`)
}

/** Waits for the end of a rebalance, during which assignments are unknown. */
async function lookSettled(
  look: () => Promise<GroupDescription>,
  signal?: AbortSignal,
): Promise<GroupDescription> {
  const endMs = performance.now() + SETTLE_LIMIT_MS
  for (;;) {
    signal?.throwIfAborted()
    const found = await look()
    const isSettled = found.members.length === 0 || found.state === 'Stable'
    if (isSettled || performance.now() > endMs) return found
    await sleep(SETTLE_STEP_MS, signal)
  }
}
