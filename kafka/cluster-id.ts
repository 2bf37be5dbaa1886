import type { Admin } from 'kafkajs'

/**
 * Stands for the id of a cluster that reports none, which Kafka's protocol allows. With it, offsets of another such
 * cluster are recognised only by the digest of the last record that was written, as those of a recreated topic are.
 */
const UNNAMED_CLUSTER = 'unnamed-cluster'

export interface ClusterDescription {
  clusterId: string
  brokers: { nodeId: number; host: string; port: number }[]
}

/** @throws kafkajs errors */
export async function describeCluster(admin: Admin): Promise<ClusterDescription> {
  const { clusterId, brokers } = await admin.describeCluster()
  // Contrary to the types of kafkajs, it may be null.
  return { clusterId: clusterId || UNNAMED_CLUSTER, brokers }
}
