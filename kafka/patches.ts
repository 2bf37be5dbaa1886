/*
 * What of kafkajs 2.2.4 only its own classes can be mended for, since it is not maintained any more: two faults, and
 * two things that it knows and does not tell. Import this file wherever records are read; test/faults/ shows on a real
 * broker that all of it is in force.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import { createRequire } from 'node:module'

/** A record as kafkajs decodes it. */
export interface FetchedMessage {
  offset: string
  key: Buffer | null
  /** A record that kafkajs keeps from its users, a marker or an aborted one; it counts for where the batch ends. */
  isControlRecord: boolean
  /** Undefined of records as Kafka wrote them before it had transactions. */
  batchContext?: { producerId: string; inTransaction: boolean; isControlBatch: boolean }
}

interface FetchedPartition {
  partition: number
  /** Both are decimal, and -1 where the broker names another one to ask. */
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

/** What each record without headers has: an object of its own would take as much memory as all else about it. */
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
 * kafkajs takes the list of aborted transactions to be in the order of their beginnings. Kafka lists them as they ended:
 * of two that overlap, records of an aborted one passed for committed.
 */
const { fetch, listOffsets } = broker
broker.fetch = async function (request) {
  const response = await fetch.call(this, request)
  for (const { topicName, partitions } of response.responses) {
    for (const partition of partitions) {
      hideAborted(partition)
      tell(topicName, partition)
    }
  }
  return response
}

/** What a fetch brought of a partition, and where that ended at the time. */
export interface Fetched {
  topic: string
  partition: number
  /** Also markers and aborted records, and some from before the offset that was asked for. */
  messages: readonly FetchedMessage[]
  /** The last stable offset: nothing from here on may be read while a transaction that began here is open. */
  lastStable: bigint
  /** The high watermark: the offset after the last record. */
  high: bigint
}

const listeners = new Set<(fetched: Fetched) => void>()

/**
 * Tells of each fetch of this process: kafkajs keeps the last stable offset and the markers to itself, and of a fetch
 * that brings nothing, which is what an open transaction makes of it, it tells nothing at all.
 *
 * @returns ends it
 */
export function onFetched(listener: (fetched: Fetched) => void): () => void {
  listeners.add(listener)
  return () => void listeners.delete(listener)
}

function tell(
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

/** kafkajs' admin calls in `work` see past open transactions: without it, the topic ends for them where one began. */
export async function pastOpenTransactions<T>(work: () => Promise<T>): Promise<T> {
  return await uncommitted.run(true, work)
}

broker.listOffsets = async function (request) {
  const level = uncommitted.getStore() === true ? { isolationLevel: READ_UNCOMMITTED } : {}
  return await listOffsets.call(this, { ...request, ...level })
}

/**
 * What a control record says, by its key: version and type, int16 each; 0 is "abort", 1 "commit"
 * (https://kafka.apache.org/documentation/#controlbatch). The type alone says what it is, whatever the version.
 *
 * @returns undefined for a key too short to hold a type
 */
export function markerType(key: Buffer | null): number | undefined {
  return key !== null && key.length >= 4 ? key.readInt16BE(2) : undefined
}

/**
 * A producer's records are aborted from the first offset of an aborted transaction up to its abort marker. Makes control
 * records of them, and empties the list, so that kafkajs has nothing left to decide.
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
 * kafkajs copies all headers of a record for each of them: 10,000 in one record stop the process for a minute, and its
 * group takes it for dead. It reads an array in this form for headers only, and calls nothing of it but reduce().
 */
const { readVarIntArray } = decoder
decoder.readVarIntArray = function (read) {
  const headers = readVarIntArray.call(this, read) as Header[]
  return headers.length === 0 ? WITHOUT_HEADERS : { reduce: () => valuesByName(headers) }
}

/** One for all records without headers, which is nearly every one. */
const WITHOUT_HEADERS = { reduce: (): HeaderValues => NO_HEADERS }

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
