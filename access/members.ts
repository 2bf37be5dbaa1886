/** Checks the members of a JSON object against a table, without showing their values. */

interface Member {
  isRight: (value: unknown) => boolean
  /** Completes the sentence `"label" must ...`. */
  must: string
  optional?: true
}

/** A row for each member of T; optional ones are marked. */
export type Members<T> = { readonly [K in keyof T]-?: Member }

/** Names of members are shown, but only such as people write: whatever has a digit may be a secret. */
const SHOWN_NAME = /^[a-z_]{1,30}$/i

/** What is wrong with an object. @param where what it is, such as `key "shop"` */
export function faultsOf(value: unknown, members: Readonly<Record<string, Member>>, where: string): string[] {
  if (!isRecord(value)) return [`${where} must be an object`]
  const faults: string[] = []
  for (const name of Object.keys(value)) {
    if (Object.hasOwn(members, name)) continue
    const shown = SHOWN_NAME.test(name) ? `the unknown member "${name}"` : 'a member with an unknown name'
    faults.push(`${where} has ${shown}`)
  }
  for (const [name, { isRight, must, optional }] of Object.entries(members)) {
    const isThere = Object.hasOwn(value, name)
    if (isThere ? !isRight(value[name]) : !optional) faults.push(`${where}: "${name}" must ${must}`)
  }
  return faults
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function wholeNumber(min: number, max: number): Member {
  return {
    isRight: (value) => Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max,
    must: `be a whole number from ${min} to ${max}`,
  }
}
