import type { SingleRecord } from '../../kafka/record-reader.ts'
import type { Publisher } from '../../producer-api/delivery/publisher.ts'
import type { RecordSource, TopicInspector } from '../../sink-worker/record-source.ts'
import type { KafkaBackend } from '../../tools/stack/backends.ts'

/** As kafka/record-reader.ts has it. */
export interface RecordReader {
  read(offsets: ReadonlyMap<number, bigint>): Promise<Map<number, SingleRecord>>
  close(): Promise<void>
}

export interface SourceOptions {
  groupId: string
  sessionTimeoutMs: number
}

/** A Kafka client behind our ports: all that the contract knows of it. Nothing of it is connected yet. */
export interface ClientUnderTest {
  /** By the way in which they send, if there are several. */
  publishers: Record<string, (topic: string, partitions: number) => Publisher>
  source(topic: string, options: SourceOptions): RecordSource
  inspector(topic: string, partitions: number): TopicInspector
  reader(topic: string): RecordReader
}

/** A real Kafka, and what reaches it. */
export interface Place {
  kafka: KafkaBackend
  client: ClientUnderTest
}
