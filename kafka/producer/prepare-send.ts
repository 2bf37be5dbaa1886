import type { IHeaders, Message } from 'kafkajs'
import type { RecordHeader } from '../../event/record/extras.ts'
import { eachRecord, type Records } from '../../event/record/records.ts'

/** The records of one send, in the form passed to kafkajs. */
interface PreparedSend {
  messages: Message[]
  /** True once the records are part of a produce request that may have been sent. */
  mayBeWritten: () => boolean
  /** After this call the records must not be written. */
  end: () => void
}

/** Prepares the records of one send for kafkajs. */
export type PrepareSend = (partition: number, requests: readonly Records[]) => PreparedSend

/** The simple implementation: kafkajs encodes the records. */
export const prepareMessages: PrepareSend = (partition, requests) => {
  let isEncoded = false
  const messages = requests.flatMap((records) => messagesOf(records, partition))
  const headers = messages[0]?.headers ?? {}
  // kafkajs reads this property when it encodes the request, after it has found the broker and connected to it.
  Object.defineProperty(messages[0] ?? {}, 'headers', {
    enumerable: true,
    get: () => {
      isEncoded = true
      return headers
    },
  })
  return { messages, mayBeWritten: () => isEncoded, end: () => {} }
}

function messagesOf(records: Records, partition: number): Message[] {
  return eachRecord(records).map((value, n): Message => {
    const { key, headers } = records.extras?.[n] ?? {}
    return {
      value,
      partition,
      ...(key === undefined ? {} : { key }),
      ...(headers === undefined ? {} : { headers: toHeaders(headers) }),
    }
  })
}

/** A repeated name has an array of its values. */
function toHeaders(headers: readonly RecordHeader[]): IHeaders {
  const values = new Map<string, Buffer[]>()
  for (const { name, value } of headers) values.set(name, [...(values.get(name) ?? []), value])
  return Object.fromEntries(values)
}
