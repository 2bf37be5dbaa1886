import { canonicalTimestamp } from '../event/timestamp.ts'
import { parseDuration } from '../platform/duration.ts'
import { UsageError } from '../platform/usage-error.ts'
import type { DeadReason } from '../event/record/decoded.ts'
import { type LetterState, PROSPECTS } from './letter.ts'
import type { Selection } from './select.ts'

/** A parsed command line. */
export type Command =
  | { name: 'list'; selection: Selection; limit: number; order: 'newest' | 'oldest'; json: boolean }
  | { name: 'show'; selection: Selection; json: boolean }
  | ({ name: 'replay'; newId: boolean } & Change)
  | ({ name: 'discard'; why: string } & Change)

/** The options that replay and discard share. */
interface Change {
  selection: Selection
  /** At most this many letters; undefined for all. */
  limit: number | undefined
  yes: boolean
  dryRun: boolean
}

const DEFAULT_LIMIT = 50
const MAX_LIMIT = 1_000_000
const STATES: readonly LetterState[] = ['open', 'replayed', 'discarded']
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

/** The options as commander parses them. */
export interface OptionValues {
  reason?: string[] | undefined
  state?: string | undefined
  since?: string | undefined
  until?: string | undefined
  partition?: string | undefined
  offset?: string | undefined
  eventId?: string | undefined
  sqlstate?: string | undefined
  cluster?: string | undefined
  limit?: string | undefined
  order?: string | undefined
  json?: boolean | undefined
  newId?: boolean | undefined
  why?: string | undefined
  yes?: boolean | undefined
  dryRun?: boolean | undefined
}

/** By command: the options other than those that select letters. */
const OWN_OPTIONS: Record<Command['name'], readonly string[]> = {
  list: ['limit', 'order', 'json'],
  show: ['json'],
  replay: ['limit', 'newId', 'yes', 'dryRun'],
  discard: ['limit', 'why', 'yes', 'dryRun'],
}

/**
 * Parses a command line. Pure.
 *
 * @param nowMs milliseconds since 1970; --since and --until may be durations before it
 * @throws {UsageError}
 */
export function readCommand(
  positionals: readonly string[],
  values: OptionValues,
  topic: string,
  nowMs: number,
): Command {
  const [name, ...places] = positionals
  if (name !== 'list' && name !== 'show' && name !== 'replay' && name !== 'discard') {
    throw new UsageError(`${name === undefined ? 'A command is missing' : `There is no command "${name}"`}.`)
  }
  checkOptions(name, values)
  const selection = { ...readSelection(places, values, topic, nowMs), states: readStates(name, values.state) }
  const change = {
    selection,
    limit: readLimit(values.limit),
    yes: values.yes === true,
    dryRun: values.dryRun === true,
  }
  const json = values.json === true
  switch (name) {
    case 'list':
      return {
        name,
        selection,
        limit: readLimit(values.limit) ?? DEFAULT_LIMIT,
        order: readOrder(values.order),
        json,
      }
    case 'show':
      if (places.length + (values.offset === undefined ? 0 : 1) + (values.eventId ? 1 : 0) === 0) {
        throw new UsageError('show needs PARTITION:OFFSET, such as 0:17, or --event-id.')
      }
      return { name, selection, json }
    case 'replay':
      return { name, ...change, newId: values.newId === true }
    case 'discard':
      return { name, ...change, why: readWhy(values.why) }
  }
}

function checkOptions(name: Command['name'], values: OptionValues): void {
  const others = Object.values(OWN_OPTIONS).flat()
  for (const option of Object.keys(values)) {
    if (others.includes(option) && !OWN_OPTIONS[name].includes(option)) {
      const flag = option.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
      throw new UsageError(`--${flag} is not an option of ${name}.`)
    }
  }
  if (values.yes && values.dryRun) throw new UsageError('--yes and --dry-run cannot be combined.')
}

function readSelection(
  places: readonly string[],
  values: OptionValues,
  topic: string,
  nowMs: number,
): Omit<Selection, 'states'> {
  const eventId = values.eventId?.toLowerCase()
  if (eventId !== undefined && !UUID.test(eventId)) {
    throw new UsageError(`--event-id must be a UUID, not "${eventId}".`)
  }
  const sqlstate = values.sqlstate?.toUpperCase()
  if (sqlstate !== undefined && !/^[0-9A-Z]{5}$/.test(sqlstate)) {
    throw new UsageError(`--sqlstate must be five letters and digits such as 23514, not "${sqlstate}".`)
  }
  return {
    topic,
    cluster: values.cluster,
    reasons: values.reason?.map(readReason),
    sqlstate,
    since: readMoment('since', values.since, nowMs),
    until: readMoment('until', values.until, nowMs),
    partition: values.partition === undefined ? undefined : readPartition('--partition', values.partition),
    offset: values.offset === undefined ? undefined : readOffset('--offset', values.offset),
    places: places.map(readPlace),
    eventId,
  }
}

function readPlace(text: string): { partition: number; offset: bigint } {
  const [partition = '', offset = '', ...rest] = text.split(':')
  if (rest.length > 0 || partition === '' || offset === '') {
    throw new UsageError(`"${text}" must be PARTITION:OFFSET, such as 0:17.`)
  }
  return { partition: readPartition(text, partition), offset: readOffset(text, offset) }
}

/** In Kafka, partitions are int32 and offsets are int64. */
function readPartition(what: string, text: string): number {
  if (/^\d{1,10}$/.test(text) && Number(text) <= 0x7fff_ffff) return Number(text)
  throw new UsageError(`${what}: a partition must be a number, not "${text}".`)
}

function readOffset(what: string, text: string): bigint {
  if (/^\d{1,19}$/.test(text) && BigInt(text) <= 0x7fff_ffff_ffff_ffffn) return BigInt(text)
  throw new UsageError(`${what}: an offset must be a number, not "${text}".`)
}

function readReason(text: string): DeadReason {
  if (Object.hasOwn(PROSPECTS, text)) return text as DeadReason
  throw new UsageError(`--reason must be one of ${Object.keys(PROSPECTS).join(', ')}, not "${text}".`)
}

/** Discarded letters are replayed only with --state discarded; replayed ones are stored, so nothing is left to do. */
function readStates(name: Command['name'], text: string | undefined): LetterState[] {
  if (text === undefined) return name === 'show' ? [] : ['open']
  if (name === 'replay' && text !== 'open' && text !== 'discarded') {
    throw new UsageError(`For replay, --state must be open or discarded, not "${text}".`)
  }
  if (name === 'discard' && text !== 'open') {
    throw new UsageError(`For discard, --state must be open, not "${text}".`)
  }
  if (text === 'all') return []
  const state = STATES.find((known) => known === text)
  if (state === undefined) {
    throw new UsageError(`--state must be one of ${STATES.join(', ')} or all, not "${text}".`)
  }
  return [state]
}

function readMoment(name: string, text: string | undefined, nowMs: number): string | undefined {
  if (text === undefined) return undefined
  const beforeMs = parseDuration(text)
  if (beforeMs !== undefined) return new Date(nowMs - beforeMs).toISOString()
  const canonical = canonicalTimestamp(text)
  if (canonical !== undefined) return canonical
  throw new UsageError(
    `--${name} must be a time such as 2026-01-02T03:04:05Z, or a duration before now such as 90s, 30m, 2h or 7d, ` +
      `not "${text}".`,
  )
}

function readLimit(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  if (/^\d{1,7}$/.test(text) && Number(text) >= 1 && Number(text) <= MAX_LIMIT) return Number(text)
  throw new UsageError(`--limit must be a number from 1 to ${MAX_LIMIT}, not "${text}".`)
}

function readOrder(text: string | undefined): 'newest' | 'oldest' {
  if (text === undefined) return 'newest'
  if (text === 'newest' || text === 'oldest') return text
  throw new UsageError(`--order must be newest or oldest, not "${text}".`)
}

function readWhy(text: string | undefined): string {
  const why = text?.trim() ?? ''
  if (why === '') throw new UsageError('discard needs --why "..."; the reason is kept in the history.')
  return why
}
