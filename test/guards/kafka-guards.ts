import type { Guard } from './main-guards.ts'

/** The guards of `npm run test:guards:kafka`: the tricks of kafka/ with kafkajs, as kafka/README.md lists them. */
export const kafkaGuards: Guard[] = [
  {
    name: 'the sorting out of aborted records',
    patch: 'kafka/aborted.patch',
    file: 'test/integration/kafka-contract.test.ts',
    title:
      'RecordSource: markers and aborted records are never delivered, and are covered: as gaps, or as empty',
  },
  {
    name: 'word of each fetch',
    patch: 'kafka/ends.patch',
    file: 'test/integration/kafka-contract.test.ts',
    title:
      'RecordSource: onWatermarks() reports the last stable offset and the high watermark, which differ during an open transaction',
  },
  {
    name: 'the look past open transactions',
    patch: 'kafka/open-transactions.patch',
    file: 'test/integration/kafka-contract.test.ts',
    title:
      'TopicInspector: describes the cluster, the first offset that is left, and both ends past an open transaction',
  },
  {
    name: 'headers that are copied once',
    patch: 'kafka/headers.patch',
    file: 'test/integration/kafka-contract.test.ts',
    title: 'RecordSource: a record with thousands of headers is delivered, and does not cost the membership',
  },
  {
    name: 'one object for all records without headers',
    patch: 'kafka/headers-shared.patch',
    file: 'test/unit/kafka/headers.test.ts',
    title: 'records without headers have one object in common',
  },
  {
    name: 'the exchange of placeholders',
    patch: 'kafka/placeholder.patch',
    file: 'test/integration/kafka-contract.test.ts',
    title:
      'Publisher with placeholders: a send is these records, in this order, in this partition, from the base offset on',
  },
  {
    name: 'the headers getter',
    patch: 'kafka/headers-getter.patch',
    file: 'test/integration/kafka-contract.test.ts',
    title:
      'Publisher as messages: a partition that the topic does not have is an error, and nothing is written',
  },
  {
    name: 'the error name that kafkajs hands on',
    patch: 'kafka/unreadable.patch',
    file: 'test/integration/kafka-contract.test.ts',
    title:
      'RecordSource: a batch that cannot be read is no outage: onMembershipLost() reports within a second that it needs a person',
  },
  {
    name: 'the partitioner that reads metadata',
    patch: 'kafka/partitioner.patch',
    file: 'test/integration/kafka-contract.test.ts',
    title: 'Publisher: a partition that is added to the topic becomes available while it sends',
  },
  {
    name: 'the watch for failed fetches',
    patch: 'kafka/failed-fetch.patch',
    file: 'test/integration/kafka-contract.test.ts',
    title:
      'RecordSource: nothing of a recreated topic is delivered before onFetchFailed() or a new assignment',
  },
  {
    name: "the assigner's name",
    patch: 'kafka/assigner-name.patch',
    file: 'test/integration/kafka-contract.test.ts',
    title:
      'RecordSource: shares the topic with a sink of an earlier version, whichever of the two came first',
  },
  {
    name: 'ranges without a record',
    patch: 'kafka/empty.patch',
    file: 'test/integration/kafka-contract.test.ts',
    title:
      'RecordSource: markers and aborted records are never delivered, and are covered: as gaps, or as empty',
  },
  {
    name: 'the heartbeats of a pending batch',
    patch: 'kafka/heartbeat.patch',
    file: 'test/integration/kafka-contract.test.ts',
    title:
      'RecordSource: while a batch is pending for longer than the session timeout, the membership is kept',
  },
  {
    name: 'the check for a seek',
    patch: 'kafka/stale.patch',
    file: 'test/integration/kafka-contract.test.ts',
    title: 'RecordSource: seek() counts for what the same fetch brought and was not delivered yet',
  },
  {
    name: 'the topic as kafkajs knows it',
    patch: 'kafka/cluster.patch',
    file: 'test/faults/sink-group.test.ts',
    title:
      'I2: partitions that the leader assigns to no member are reported everywhere, and stored once it has left',
  },
  {
    name: 'ranges without a record, for single records',
    patch: 'kafka/reader-empty.patch',
    file: 'test/integration/kafka-contract.test.ts',
    title: 'RecordReader: what expired, was aborted or is a marker is left out; a committed one is not',
  },
]
