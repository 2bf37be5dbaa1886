export interface Guard {
  /** What is removed. */
  name: string
  /** The patch that removes it, relative to this folder. */
  patch: string
  /** The file of the test that must fail without it. */
  file: string
  /** The title of that test. */
  title: string
}

/** The guards of `npm run test:guards`. */
export const mainGuards: Guard[] = [
  {
    name: 'the fence',
    patch: 'fence.patch',
    file: 'test/faults/quick/fence.test.ts',
    title: 'I3: two sinks that read the same partition write each range once, without duplicates',
  },
  {
    name: 'the rule for two events with one id',
    patch: 'id-conflict.patch',
    file: 'test/integration/dead-letters.test.ts',
    title:
      'I2: the first of several events with one id stays; an identical one is a duplicate, a different one a dead letter',
  },
  {
    name: "the check of Kafka's acknowledgement",
    patch: 'ack-check.patch',
    file: 'test/integration/http-contract.test.ts',
    title: 'I1: records that kafkajs drops silently are not reported as accepted, with placeholders',
  },
  {
    name: 'the breaker',
    patch: 'breaker.patch',
    file: 'test/faults/quick/database-outage.test.ts',
    title: 'I5: an outage and its end are detected without any traffic',
  },
  {
    name: 'the bisection',
    patch: 'bisection.patch',
    file: 'test/integration/dead-letters.test.ts',
    title: "I6: a row that a user's constraint or trigger refuses becomes a dead letter that names the cause",
  },
  {
    name: 'the assigner',
    patch: 'assigner.patch',
    file: 'test/faults/sink-group.test.ts',
    title: 'I2: a consumer of another topic that joins later gets no partitions and is reported',
  },
  {
    name: 'the check of the group before joining it',
    patch: 'before-join.patch',
    file: 'test/faults/sink-group.test.ts',
    title:
      'I2: a sink of another topic does not join the group, reports why, and disturbs no member until the first has left',
  },
]
