import {
  type GroupDescription,
  SEPARATE_GROUPS,
  isRebalancing,
  assessGroup,
  formatPartitions,
  formatReaders,
} from '../../kafka/group-members.ts'
import { kafkaErrorType } from '../../kafka/errors.ts'
import { describeSettled } from '../../kafka/settled-group.ts'
import type { VerifyContext } from './verify-context.ts'

/** How long to wait for a rebalance to end. */
const SETTLE_LIMIT_MS = 10_000

/**
 * Notes which partitions with unread records are assigned to no member of the group. If the group has members, these
 * records are never stored unless someone acts: a problem. If it has none, the sink is stopped or in another group,
 * which does not affect what is stored: a note.
 */
export async function noteUnreadPartitions(
  { topic, verdict, notYetRead }: VerifyContext,
  describe: () => Promise<GroupDescription>,
  signal?: AbortSignal,
): Promise<void> {
  if (notYetRead.size === 0) return
  const waiting = [...notYetRead.keys()]
  const { group } = verdict
  let description: GroupDescription
  try {
    description = await describeSettled(describe, (each) => !isRebalancing(each), SETTLE_LIMIT_MS, signal)
  } catch (error) {
    signal?.throwIfAborted()
    const reason = kafkaErrorType(error) ?? (error as Error).message
    verdict.notes.push(
      `cannot tell who reads the rest, because group ${group} cannot be described: ${reason}`,
    )
    return
  }
  const assessment = assessGroup(description, topic, waiting)
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
  if (description.members.length === 0) {
    verdict.notes.push(
      `group ${group} has no members: ${records}, waiting for a sink (or set KAFKA_GROUP_ID to the sinks' group)`,
    )
    return
  }
  const remedy =
    others.length > 0
      ? `it has a member that reads another topic, ${formatReaders(others)}: ${SEPARATE_GROUPS}`
      : 'sinks find new partitions within half a minute; after that, restart the members of the group'
  verdict.problems.push(`${records}, and no member of group ${group} reads them: ${remedy}`)
}
