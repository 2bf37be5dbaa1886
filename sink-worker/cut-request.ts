import { digestOf } from './partition.ts'
import type { DeadLetter, DecodedRow } from './records.ts'
import type { WriteRequest } from './write-batch.ts'

/**
 * Cuts off what goes into the next transaction: whole, or the first records of the first partition. Pure.
 *
 * @param most records of one transaction, at least 1
 * @param singly only one partition, even if all would fit
 * @returns the head, and the rest if there is any
 */
export function cutRequest(
  request: WriteRequest,
  most: number,
  singly = false,
): [WriteRequest, WriteRequest?] {
  const [first, ...others] = request.slices
  const isWhole = countRecords(request) <= most && (!singly || others.length === 0)
  if (first === undefined || isWhole) return [request]

  const isFirst = ({ record }: DecodedRow | DeadLetter): boolean => record.partition === first.partition
  const records = [...request.rows, ...request.dead].filter(isFirst).map(({ record }) => record)
  records.sort((a, b) => Number(a.offset - b.offset))
  const last = records[most - 1]
  const isPart = last !== undefined && records.length > most
  const to = isPart ? last.offset + 1n : first.to

  const isInHead = (item: DecodedRow | DeadLetter): boolean => isFirst(item) && item.record.offset < to
  const head: WriteRequest = {
    ...request,
    slices: [isPart ? { ...first, to, lastOffset: last.offset, lastDigest: digestOf(last) } : first],
    rows: request.rows.filter(isInHead),
    dead: request.dead.filter(isInHead),
  }
  if (!isPart && others.length === 0) return [head]
  const rest: WriteRequest = {
    ...request,
    slices: isPart ? [{ ...first, from: to }, ...others] : others,
    rows: request.rows.filter((item) => !isInHead(item)),
    dead: request.dead.filter((item) => !isInHead(item)),
  }
  return [head, rest]
}

/** How many records a request stores, as rows or dead letters. */
export function countRecords({ rows, dead }: WriteRequest): number {
  return rows.length + dead.length
}
