import kafkajs, { type GroupDescription as KafkajsGroup } from 'kafkajs'
import type { GroupDescription } from './group-members.ts'

/** Decodes kafkajs' description of a group. A group that does not exist has the state `Dead`. */
export function toGroupDescription(description: KafkajsGroup | undefined): GroupDescription {
  const { state, members = [] } = (description ?? {}) as Partial<KafkajsGroup>
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

/** The topics in a member's subscription; empty if it cannot be decoded. */
export function topicsOf(metadata: Buffer): string[] {
  return decodeOr([], () => kafkajs.AssignerProtocol.MemberMetadata.decode(metadata)?.topics, metadata)
}

function assignedOf(assignment: Buffer): Map<string, number[]> {
  const decode = () => kafkajs.AssignerProtocol.MemberAssignment.decode(assignment)?.assignment
  return new Map(Object.entries(decodeOr({}, decode, assignment)))
}

/** Metadata and assignments are empty during a rebalance. */
function decodeOr<T>(fallback: T, decode: () => T | undefined, from: Buffer): T {
  if (from.length === 0) return fallback
  try {
    return decode() ?? fallback
  } catch {
    return fallback
  }
}
