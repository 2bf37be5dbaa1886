import type { Message } from 'kafkajs'
import { eachRecord, type Records } from '../../event/record/records.ts'

/** The records of one send, in the form passed to kafkajs. */
interface Handed {
  messages: Message[]
  /** True once the records are part of a produce request that may have been sent. */
  mayBeWritten: () => boolean
  /** After this call the records must not be written. */
  end: () => void
}

/** Passes records to kafkajs for a produce request. */
export type HandOver = (partition: number, requests: readonly Records[]) => Handed

/** The simple implementation: kafkajs encodes the records. */
export const asMessages: HandOver = (partition, requests) => {
  let isEncoded = false
  const messages: Message[] = requests.flatMap(eachRecord).map((value) => ({ value, partition }))
  // kafkajs reads this property when it encodes the request, after it has found the broker and connected to it.
  Object.defineProperty(messages[0] ?? {}, 'headers', {
    enumerable: true,
    get: () => {
      isEncoded = true
      return {}
    },
  })
  return { messages, mayBeWritten: () => isEncoded, end: () => {} }
}
