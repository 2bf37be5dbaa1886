/*
 * Two faults of kafkajs 2.2.4 that only its own classes can be mended for, since it is not maintained any more. Import
 * this file wherever records are read; test/abuse/ shows on a real broker that both mends are in force.
 */
import { createRequire } from 'node:module'

/** A record as kafkajs decodes it. */
interface FetchedMessage {
  offset: string
  key: Buffer | null
  /** A record that kafkajs keeps from its users; it counts for where the batch ends. */
  isControlRecord: boolean
  batchContext?: { producerId: string; inTransaction: boolean }
}

interface FetchedPartition {
  abortedTransactions?: { producerId: string; firstOffset: string }[] | null
  messages: FetchedMessage[]
}

interface FetchResponse {
  responses: { partitions: FetchedPartition[] }[]
}

interface Header {
  key: string
  value: Buffer | null
}

type HeaderValues = Record<string, Header['value'] | Header['value'][]>

const require = createRequire(import.meta.url)
const { prototype: broker } = require('kafkajs/src/broker') as {
  prototype: { fetch: (request: unknown) => Promise<FetchResponse> }
}
const { prototype: decoder } = require('kafkajs/src/protocol/decoder') as {
  prototype: { readVarIntArray: (read: unknown) => unknown }
}

/**
 * kafkajs takes the list of aborted transactions to be in the order of their beginnings. Kafka lists them as they ended:
 * of two that overlap, records of an aborted one passed for committed.
 */
const { fetch } = broker
broker.fetch = async function (request) {
  const response = await fetch.call(this, request)
  for (const partition of response.responses.flatMap(({ partitions }) => partitions)) {
    hideAborted(partition)
  }
  return response
}

/** Control record of the type "abort": version 0, type 0 (https://kafka.apache.org/documentation/#controlbatch). */
const ABORT_MARKER = Buffer.alloc(4)

/** A producer's records are aborted from the first offset of an aborted transaction up to its abort marker. */
function hideAborted(partition: FetchedPartition): void {
  const waiting = (partition.abortedTransactions ?? [])
    .map(({ producerId, firstOffset }) => ({ producerId, firstOffset: BigInt(firstOffset) }))
    .toSorted((a, b) => Number(a.firstOffset - b.firstOffset))
  partition.abortedTransactions = []
  if (waiting.length === 0) return
  const aborting = new Set<string>()
  for (const message of partition.messages) {
    const { producerId = '', inTransaction = false } = message.batchContext ?? {}
    while (waiting[0] !== undefined && waiting[0].firstOffset <= BigInt(message.offset)) {
      aborting.add(waiting[0].producerId)
      waiting.shift()
    }
    if (message.isControlRecord) {
      if (message.key?.equals(ABORT_MARKER)) aborting.delete(producerId)
    } else if (inTransaction && aborting.has(producerId)) message.isControlRecord = true
  }
}

/**
 * kafkajs copies all headers of a record for each of them: 10,000 in one record stop the process for a minute, and its
 * group takes it for dead. It reads an array in this form for headers only, and calls nothing of it but reduce().
 */
const { readVarIntArray } = decoder
decoder.readVarIntArray = function (read) {
  const headers = readVarIntArray.call(this, read) as Header[]
  return { reduce: () => valuesByName(headers) }
}

/** A repeated name has an array of its values, as kafkajs has it. */
function valuesByName(headers: readonly Header[]): HeaderValues {
  const values: HeaderValues = Object.create(null) // any name may come, "__proto__" too
  for (const { key, value } of headers) {
    const earlier = values[key]
    if (earlier === undefined) values[key] = value
    else if (Array.isArray(earlier)) earlier.push(value)
    else values[key] = [earlier, value]
  }
  return values
}
