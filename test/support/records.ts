import { type Kafka as KafkaClient, type Message, type Producer } from 'kafkajs'
import kafkajs from 'kafkajs'
import { sinkGroupId } from '../../kafka/sink-group.ts'

/** A plain kafkajs client, as another producer would use. */
export function kafkaClient(bootstrapServers: string, clientId = 'another'): KafkaClient {
  return new kafkajs.Kafka({ clientId, brokers: [bootstrapServers], logLevel: kafkajs.logLevel.NOTHING })
}

/** Runs `work` with a connected producer that creates no topics. */
export async function withProducer<T>(
  bootstrapServers: string,
  work: (send: (messages: Message[]) => Promise<void>, producer: Producer) => Promise<T>,
): Promise<T> {
  const producer = kafkaClient(bootstrapServers).producer({ allowAutoTopicCreation: false })
  await producer.connect()
  try {
    return await work(async (messages) => {
      await producer.send({ topic: 'events', acks: -1, messages })
    }, producer)
  } finally {
    await producer.disconnect()
  }
}

/** A connected producer of another program, with this transactional id. */
export async function transactionalProducer(bootstrapServers: string, name: string): Promise<Producer> {
  const producer = kafkaClient(bootstrapServers).producer({
    transactionalId: name,
    maxInFlightRequests: 1,
    idempotent: true,
  })
  await producer.connect()
  return producer
}

/** The id of test event `n`. */
export function idOf(n: number): string {
  return `00000000-0000-7000-8000-${String(n).padStart(12, '0')}`
}

/** The canonical record of test event `n`; `change` replaces fields (undefined removes one). */
export function record(n: number, change: Record<string, unknown> = {}): string {
  return JSON.stringify({
    event_id: idOf(n),
    user_id: n,
    timestamp: '2026-01-02T03:04:05.123456Z',
    received_at: '2026-01-02T03:04:06.000000Z',
    metadata: { page: `/p/${n}` },
    ...change,
  })
}

/** The ids of the members of the sink's consumer group. */
export async function groupMembers(bootstrapServers: string): Promise<string[]> {
  const admin = kafkaClient(bootstrapServers).admin()
  await admin.connect()
  const { groups } = await admin.describeGroups([sinkGroupId('events')])
  await admin.disconnect()
  return groups.flatMap(({ members }) => members.map(({ memberId }) => memberId))
}
