import type { Slice } from './fence.ts'
import { digestOf } from '../positions/place.ts'
import type { DeadLetter, DecodedRow } from '../../event/record/decoded.ts'
import type { WriteRequest } from './write-batch.ts'

type Item = DecodedRow | DeadLetter

/**
 * Cuts a write request in two: the head for the next transaction, and the rest. Takes whole slices until `most` records
 * are reached; the last slice may be cut. Pure.
 *
 * @param most records in the head, at least 1
 * @param singly put only one partition into the head, even if more would fit
 * @returns the head, and the rest if there is any; the head then has `most` records, unless `singly` made it smaller
 */
export function cutRequest(
  request: WriteRequest,
  most: number,
  singly = false,
): [WriteRequest, WriteRequest?] {
  const candidates = singly ? request.slices.slice(0, 1) : request.slices
  if (countRecords(request) <= most && candidates.length === request.slices.length) return [request]

  const taken: Slice[] = []
  let room = most
  for (const slice of candidates) {
    const records = recordsOf(request, slice.partition)
    const last = records[Math.min(room, records.length) - 1]
    if (last === undefined) break
    const isWhole = records.length <= room
    taken.push(
      isWhole
        ? slice
        : { ...slice, to: last.offset + 1n, lastOffset: last.offset, lastDigest: digestOf(last) },
    )
    room -= isWhole ? records.length : room
  }

  const ends = new Map(taken.map(({ partition, to }) => [partition, to]))
  const isTaken = ({ record }: Item): boolean => record.offset < (ends.get(record.partition) ?? 0n)
  const left = request.slices.flatMap((slice) => {
    const from = ends.get(slice.partition) ?? slice.from
    return from < slice.to ? [{ ...slice, from }] : []
  })
  const head = { ...request, ...itemsOf(request, isTaken), slices: taken }
  if (left.length === 0) return [head]
  return [head, { ...request, ...itemsOf(request, (item) => !isTaken(item)), slices: left }]
}

/** The number of records that a request stores, as rows or dead letters. */
export function countRecords({ rows, dead }: WriteRequest): number {
  return rows.length + dead.length
}

/** The records of one partition, in order of offset. */
function recordsOf({ rows, dead }: WriteRequest, partition: number): Item['record'][] {
  const records = [...rows, ...dead].map(({ record }) => record)
  return records
    .filter((record) => record.partition === partition)
    .toSorted((a, b) => Number(a.offset - b.offset))
}

function itemsOf({ rows, dead }: WriteRequest, isWanted: (item: Item) => boolean) {
  return { rows: rows.filter(isWanted), dead: dead.filter(isWanted) }
}
