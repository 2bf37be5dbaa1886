import kafkajs, { type GroupDescription } from 'kafkajs'
import type { GroupLook } from './group-members.ts'

/** What kafkajs' description of a group says, decoded; of a group that Kafka does not know, that it is `Dead`. */
export function toGroupLook(description: GroupDescription | undefined): GroupLook {
  const { state, members = [] } = (description ?? {}) as Partial<GroupDescription>
  return {
    state: state ?? 'Dead',
    members: members.map(({ memberId, clientId, clientHost, memberMetadata, memberAssignment }) => ({
      memberId,
      clientId,
      host: clientHost.replace(/^\//, ''),
      topics: topicsOf(memberMetadata),
      assigned: assignedOf(memberAssignment),
    })),
  }
}

/** What a member subscribes to, as it told its group; nothing where that cannot be read. */
export function topicsOf(metadata: Buffer): string[] {
  return decodeOr([], () => kafkajs.AssignerProtocol.MemberMetadata.decode(metadata)?.topics, metadata)
}

function assignedOf(assignment: Buffer): Map<string, number[]> {
  const decode = () => kafkajs.AssignerProtocol.MemberAssignment.decode(assignment)?.assignment
  return new Map(Object.entries(decodeOr({}, decode, assignment)))
}

/** Both are empty while the group shares out its partitions. */
function decodeOr<T>(fallback: T, decode: () => T | undefined, from: Buffer): T {
  if (from.length === 0) return fallback
  try {
    return decode() ?? fallback
  } catch {
    return fallback
  }
}
