// The commands of `firehose dlq` that change something. Each first prints what it will do and asks for confirmation.
import { createInterface } from 'node:readline/promises'
import type { Command } from '../dead-letters/arguments.ts'
import { discard } from '../dead-letters/discard.ts'
import { LargeValues } from '../dead-letters/large-values.ts'
import { countLetters, type LetterGroup, readSnapshot } from '../dead-letters/letters.ts'
import { replay, type ReplayedPage } from '../dead-letters/replay.ts'
import { createLogger } from '../platform/log.ts'
import { UsageError } from '../platform/usage-error.ts'
import type { SinkConfig } from '../sink-worker/config.ts'
import type { Database } from '../postgres/database.ts'
import * as text from './dlq-text.ts'
import { EXIT_STOPPED, stopOnSignal } from './stop-on-signal.ts'

type Replay = Extract<Command, { name: 'replay' }>
type Discard = Extract<Command, { name: 'discard' }>

/** At most this many refused letters are printed; the history has all of them. */
const NAMED_REFUSALS = 20

/** @returns the exit code */
export async function replayCommand(command: Replay, db: Database, config: SinkConfig): Promise<number> {
  return await change(command, db, async (selection, limit, signal) => {
    const largeValues = new LargeValues(config.kafka, config.topic, createLogger('dlq', 'silent'))
    const tally = new Tally()
    const onPage = (page: ReplayedPage): void => tally.add(page)
    try {
      const [state = 'open'] = selection.states
      await replay(db, { selection, state, limit, newId: command.newId, largeValues, signal, onPage })
    } finally {
      tally.print()
      await largeValues.close()
    }
    return tally.left
  })
}

/** @returns the exit code */
export async function discardCommand(command: Discard, db: Database): Promise<number> {
  return await change(command, db, async (selection, limit, signal) => {
    let discarded = 0
    let taken = 0
    const onPage = (page: { discarded: number; taken: number }): void => {
      discarded += page.discarded
      taken += page.taken
    }
    try {
      await discard(db, { selection, limit, why: command.why, signal, onPage })
    } finally {
      console.log(`${text.lettersText(discarded)} discarded.`)
      if (taken > 0) console.log(takenText(taken))
    }
    return taken
  })
}

/** Prints what will be done, asks for confirmation, and does it. */
async function change(
  command: Replay | Discard,
  db: Database,
  work: (selection: Replay['selection'], limit: number, signal: AbortSignal) => Promise<number>,
): Promise<number> {
  // Letters that are committed after the plan was printed are not touched.
  const selection = { ...command.selection, snapshot: await readSnapshot(db) }
  const groups = await countLetters(db, selection)
  const count = Math.min(text.sum(groups), command.limit ?? Number.POSITIVE_INFINITY)
  if (count === 0) {
    console.log('There are no such dead letters; nothing to do.')
    return 0
  }
  refuseSeveralClusters(selection, groups)
  const newId = command.name === 'replay' && command.newId
  const verb = command.name === 'replay' ? 'Replay' : 'Discard'
  const of =
    command.limit !== undefined && count < text.sum(groups)
      ? ', the first of these by partition and offset'
      : ''
  console.log(command.name === 'replay' ? text.planText(groups, newId) : text.summaryText(groups))
  console.log(`\n${verb} ${text.lettersText(count)} of topic ${selection.topic}${of}.`)
  if (command.dryRun) {
    console.log('Nothing was changed (--dry-run).')
    return 0
  }
  if (!command.yes && !(await isConfirmed())) {
    console.log('Nothing was changed.')
    return 1
  }
  const signal = stopOnSignal(() => {
    console.error('Stopping after the current transaction (press Ctrl-C again to exit immediately).')
  })
  await db.open() // the connection may have broken while the question was open
  const left = await work(selection, count, signal)
  if (signal.aborted) {
    console.log('Interrupted. What was done is committed; run the command again for the rest.')
    return EXIT_STOPPED
  }
  return left > 0 ? 1 : 0
}

/** The user means one record by its coordinates, but an earlier topic may have another with the same ones. */
function refuseSeveralClusters({ places }: Replay['selection'], groups: readonly LetterGroup[]): void {
  const clusters = [...new Set(groups.map(({ clusterId }) => clusterId))]
  if ((places?.length ?? 0) === 0 || clusters.length < 2) return
  throw new UsageError(
    `These coordinates exist in ${clusters.length} clusters: add --cluster "${clusters.join('" or "')}".`,
  )
}

/** @throws {UsageError} if there is no terminal to ask on */
async function isConfirmed(): Promise<boolean> {
  if (!process.stdin.isTTY || !process.stdout.isTTY) {
    throw new UsageError('Nothing was changed: add --yes to confirm.')
  }
  const lines = createInterface({ input: process.stdin, output: process.stdout })
  const closed = new Promise<string>((resolve) => lines.once('close', () => resolve('\n')))
  const answer = await Promise.race([lines.question('Continue? [y/N] '), closed])
  lines.close()
  if (answer === '\n') console.log() // Ctrl-C, Ctrl-D
  return /^y(?:es)?$/i.test(answer.trim())
}

/** Counts the outcomes of a replay, and prints the letters that it could not store. */
class Tally {
  #stored = 0
  #alreadyStored = 0
  #refused = 0
  #taken = 0

  /** Letters that this run did not replay. */
  get left(): number {
    return this.#refused + this.#taken
  }

  add({ letters, taken }: ReplayedPage): void {
    this.#progress('')
    this.#taken += taken
    for (const { letter, outcome } of letters) {
      if (outcome.kind === 'refused') {
        this.#refused += 1
        if (this.#refused <= NAMED_REFUSALS) console.log(text.refusalText(letter, outcome))
      } else if (outcome.kind === 'stored') this.#stored += 1
      else this.#alreadyStored += 1
    }
    this.#progress(`${text.grouped(this.#stored + this.#alreadyStored + this.left)} done`)
  }

  print(): void {
    this.#progress('')
    if (this.#refused > NAMED_REFUSALS) {
      console.log(
        `... and ${text.grouped(this.#refused - NAMED_REFUSALS)} more; "dlq show" has the reason of each.`,
      )
    }
    const counts = [
      `${text.grouped(this.#stored)} stored`,
      `${text.grouped(this.#alreadyStored)} already stored`,
      `${text.grouped(this.#refused)} stay as they are`,
    ]
    console.log(`${counts.join(', ')}.`)
    if (this.#taken > 0) console.log(takenText(this.#taken))
  }

  /** On a terminal, replaces the progress line. */
  #progress(line: string): void {
    if (process.stderr.isTTY) process.stderr.write(`\r\u001b[K${line}`) // EL of ECMA-48: erase to the end of the line
  }
}

function takenText(count: number): string {
  return `${text.lettersText(count)} skipped, because another session was working on them; see "dlq list".`
}
