import type { Message } from 'kafkajs'
import { eachRecord, type Records } from '../../event/record/records.ts'

/** The records of one send, as they are handed to kafkajs. */
interface Handed {
  messages: Message[]
  /** Whether the request has come so far that they may be in Kafka from now on. */
  mayBeWritten: () => boolean
  /** Nothing of them may be written any more. */
  end: () => void
}

/** A way of getting records into a produce request of kafkajs. */
export type HandOver = (partition: number, requests: readonly Records[]) => Handed

/** The plain way: kafkajs encodes them. */
export const asMessages: HandOver = (partition, requests) => {
  let isEncoded = false
  const messages: Message[] = requests.flatMap(eachRecord).map((value) => ({ value, partition }))
  // kafkajs reads this when it encodes the request, which is after it has found the broker and connected to it.
  Object.defineProperty(messages[0] ?? {}, 'headers', {
    enumerable: true,
    get: () => {
      isEncoded = true
      return {}
    },
  })
  return { messages, mayBeWritten: () => isEncoded, end: () => {} }
}
