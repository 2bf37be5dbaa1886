import { createRequire } from 'node:module'

interface PartitionMetadata {
  partitionErrorCode: number
  partitionId: number
  leader: number
}
interface Metadata {
  topicMetadata: { topicErrorCode: number; topic: string; partitionMetadata: PartitionMetadata[] }[]
}
interface MetadataResponse {
  parse(data: Metadata): Promise<Metadata>
}

/** Kafka's code for LEADER_NOT_AVAILABLE. */
const LEADER_NOT_AVAILABLE = 5

/**
 * kafkajs takes the metadata of a topic as failed when one of its partitions has no leader: a single broker down
 * without a replica would then stop the sends to all partitions, of healthy brokers too. This lets such partitions
 * through with leader -1, which is what Kafka says about them; all other errors fail as before.
 *
 * It reaches into the package, which has been at its last release since 2023; a test proves that it still fits.
 */
export function tolerateLeaderlessPartitions(): MetadataResponse {
  const require = createRequire(import.meta.url)
  const response = require('kafkajs/src/protocol/requests/metadata/v6/response') as MetadataResponse & {
    tolerant?: boolean
  }
  if (response.tolerant) return response
  const parse = response.parse
  response.tolerant = true
  response.parse = async (data) => {
    for (const topic of data.topicMetadata) {
      for (const partition of topic.partitionMetadata) {
        if (partition.partitionErrorCode === LEADER_NOT_AVAILABLE) {
          partition.partitionErrorCode = 0
          partition.leader = -1
        }
      }
    }
    return parse(data)
  }
  return response
}
