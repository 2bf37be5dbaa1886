/*
 * Patches of kafkajs 2.2.4, which is no longer maintained. They fix two bugs (aborted transactions, headers), and expose
 * data that kafkajs has but does not report (last stable offsets, offsets beyond open transactions). Import this file
 * wherever records are read. test/faults/ tests every patch against a real broker.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import { createRequire } from 'node:module'

/** A record as kafkajs decodes it. */
export interface FetchedMessage {
  offset: string
  key: Buffer | null
  /** True for markers and aborted records: kafkajs does not deliver them, but counts them for the end of the batch. */
  isControlRecord: boolean
  /** Undefined for records in the formats that Kafka used before it had transactions. */
  batchContext?: {
    producerId: string
    inTransaction: boolean
    isControlBatch: boolean
    timestampType?: number
  }
}

const LOG_APPEND_TIME = 1

/** Whether the time of a record is that at which Kafka appended it. kafkajs reports it, but its types do not. */
export function isAppendTime(message: object | undefined): boolean {
  const { batchContext }: Partial<FetchedMessage> = message ?? {}
  return batchContext?.timestampType === LOG_APPEND_TIME
}

interface FetchedPartition {
  partition: number
  /** Both offsets are decimal, and -1 if the broker refers to another replica. */
  highWatermark: string
  lastStableOffset: string
  abortedTransactions?: { producerId: string; firstOffset: string }[] | null
  messages: FetchedMessage[]
}

interface FetchResponse {
  responses: { topicName: string; partitions: FetchedPartition[] }[]
}

interface Header {
  key: string
  value: Buffer | null
}

type HeaderValues = Record<string, Header['value'] | Header['value'][]>

/** Shared by all records without headers: separate objects would double the memory of a record. */
export const NO_HEADERS: Record<string, never> = Object.freeze(Object.create(null))

const require = createRequire(import.meta.url)
const { prototype: broker } = require('kafkajs/src/broker') as {
  prototype: {
    fetch: (request: unknown) => Promise<FetchResponse>
    listOffsets: (request: Record<string, unknown>) => Promise<unknown>
  }
}
const { prototype: decoder } = require('kafkajs/src/protocol/decoder') as {
  prototype: { readVarIntArray: (read: unknown) => unknown }
}

/**
 * kafkajs assumes that aborted transactions are listed in the order of their first offsets, but Kafka lists them in the
 * order in which they ended. With overlapping transactions, kafkajs delivers records of an aborted one.
 */
const { fetch, listOffsets } = broker
broker.fetch = async function (request) {
  const response = await fetch.call(this, request)
  for (const { topicName, partitions } of response.responses) {
    for (const partition of partitions) {
      hideAborted(partition)
      notifyListeners(topicName, partition)
    }
  }
  return response
}

/** The result of a fetch for one partition, with the ends of the partition at that time. */
export interface Fetched {
  topic: string
  partition: number
  /** Includes markers, aborted records, and records before the requested offset. */
  messages: readonly FetchedMessage[]
  /** The last stable offset: records from here on cannot be read while a transaction is open. */
  lastStable: bigint
  /** The high watermark: the offset after the last record. */
  high: bigint
}

const listeners = new Set<(fetched: Fetched) => void>()

/**
 * Calls `listener` for each fetch of this process. kafkajs does not expose the last stable offset or markers, and
 * reports nothing for an empty fetch, such as one that is blocked by an open transaction.
 *
 * @returns a function that removes the listener
 */
export function onFetched(listener: (fetched: Fetched) => void): () => void {
  listeners.add(listener)
  return () => void listeners.delete(listener)
}

function notifyListeners(
  topic: string,
  { partition, lastStableOffset, highWatermark, messages }: FetchedPartition,
): void {
  const [lastStable, high] = [BigInt(lastStableOffset), BigInt(highWatermark)]
  if (lastStable < 0n || high < 0n) return
  for (const listener of listeners) listener({ topic, partition, messages, lastStable, high })
}

const uncommitted = new AsyncLocalStorage<true>()
const READ_UNCOMMITTED = 0
const ABORT = 0

/**
 * Runs `work` so that offsets requested by a kafkajs admin include open transactions. Otherwise the last stable offset is
 * returned as the end of a partition.
 */
export async function pastOpenTransactions<T>(work: () => Promise<T>): Promise<T> {
  return await uncommitted.run(true, work)
}

broker.listOffsets = async function (request) {
  const level = uncommitted.getStore() === true ? { isolationLevel: READ_UNCOMMITTED } : {}
  return await listOffsets.call(this, { ...request, ...level })
}

/**
 * The type of a control record: 0 for abort, 1 for commit. Its key consists of version and type, int16 each; the type has
 * the same meaning in every version (https://kafka.apache.org/documentation/#controlbatch).
 *
 * @returns undefined for a key that is too short
 */
export function markerType(key: Buffer | null): number | undefined {
  return key !== null && key.length >= 4 ? key.readInt16BE(2) : undefined
}

/**
 * Marks aborted records as control records, which kafkajs does not deliver, and empties the list of aborted transactions.
 * The records of a producer are aborted from the first offset of an aborted transaction up to its abort marker.
 */
export function hideAborted(partition: Pick<FetchedPartition, 'abortedTransactions' | 'messages'>): void {
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
      if (markerType(message.key) === ABORT) aborting.delete(producerId)
    } else if (inTransaction && aborting.has(producerId)) message.isControlRecord = true
  }
}

/**
 * kafkajs copies all headers of a record for each header: 10,000 headers in one record block the process for a minute,
 * and it is removed from its group. kafkajs uses readVarIntArray() only for headers, and calls only reduce() on the result.
 */
const { readVarIntArray } = decoder
decoder.readVarIntArray = function (read) {
  const headers = readVarIntArray.call(this, read) as Header[]
  return headers.length === 0 ? WITHOUT_HEADERS : { reduce: () => valuesByName(headers) }
}

/** Shared by all records without headers, which are nearly all records. */
const WITHOUT_HEADERS = { reduce: (): HeaderValues => NO_HEADERS }

/** As in kafkajs, a repeated name has an array of values. */
function valuesByName(headers: readonly Header[]): HeaderValues {
  const values: HeaderValues = Object.create(null) // header names may be anything, even "__proto__"
  for (const { key, value } of headers) {
    const earlier = values[key]
    if (earlier === undefined) values[key] = value
    else if (Array.isArray(earlier)) earlier.push(value)
    else values[key] = [earlier, value]
  }
  return values
}
