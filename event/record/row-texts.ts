import { type EventRow, type RowTexts, TEXT_NAMES, type TextName } from '../fields.ts'

/** The texts of a row from their values, in the order of TEXT_NAMES; undefined if there are none. */
export function rowTexts(values: readonly (Buffer | undefined)[]): RowTexts | undefined {
  const bytes = Buffer.concat(values.filter((value) => value !== undefined))
  if (bytes.length === 0) return undefined
  const starts: number[] = []
  const ends: number[] = []
  let at = 0
  for (let k = 0; k < TEXT_NAMES.length; k++) {
    starts.push(at)
    at += values[k]?.length ?? 0
    ends.push(at)
  }
  return { bytes, starts, ends }
}

/** One text of a row; undefined if it is NULL. */
export function textOf({ texts }: EventRow, name: TextName): string | undefined {
  if (texts === undefined) return undefined
  const k = TEXT_NAMES.indexOf(name)
  const [start, end] = [texts.starts[k]!, texts.ends[k]!]
  return start === end ? undefined : texts.bytes.toString('utf8', start, end)
}
