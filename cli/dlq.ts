import type { Command } from 'commander'
import { type Command as Asked, type OptionValues, readCommand } from '../dead-letters/arguments.ts'
import { countLetters, listLetters, readHistory, readLetter, readPage } from '../dead-letters/letters.ts'
import type { SinkConfig } from '../sink-worker/config.ts'
import { Database } from '../postgres/database.ts'
import { describeError, sqlstateOf } from '../sink-worker/outage/sqlstate.ts'
import { UsageError } from '../platform/usage-error.ts'
import { collect, newCommand } from './command.ts'
import { readSettingsOfSink } from './command-settings.ts'
import { discardCommand, replayCommand } from './dlq-change.ts'
import * as text from './dlq-text.ts'
import { endOnSignal } from './stop-on-signal.ts'

/** Counting many letters may take PostgreSQL longer than the sink's own limit. */
const MIN_SILENCE_MS = 60_000
/** Keys read at a time by show; values are read one by one. */
const PAGE_KEYS = 100

export const command = dlqCommand().action(async (words: string[], values: OptionValues) => {
  endOnSignal() // replay and discard shut down gracefully instead: dlq-change.ts
  process.exitCode = await main(words, values)
})

/** The command without its action. */
export function dlqCommand(): Command {
  return newCommand(
    'dlq',
    `Dead letters are records that could not be stored, with the reason. They stay for ever or, if
DEAD_LETTERS_RETENTION_DAYS is set, for so long after they were replayed or discarded. Everything done about them is kept
in a history.`,
  )
    .usage('COMMAND [PARTITION:OFFSET ...] [options]')
    .argument(
      '[words...]',
      `COMMAND and coordinates:
list       print how many there are, by reason and state, and the newest ones
show       print single letters with value, headers and history
replay     store them after all, each exactly once, however often the command is run or killed
discard    mark them as given up, with a reason: --why "..."`,
    )
    .optionsGroup('To select letters:')
    .option(
      '--reason <NAME>',
      'undecodable, event_id_conflict, data_exception, constraint or kept_out; may be repeated',
      (value: string, previous: string[] | undefined) => collect(value, previous ?? []),
    )
    .option(
      '--state <STATE>',
      'open (the default), replayed, discarded or all; for replay, open or discarded',
    )
    .option(
      '--since <T>',
      'became dead letters then or later: a time such as 2026-01-02T03:04:05Z, or a duration before now such as 30m, 2h or 7d',
    )
    .option('--until <T>', 'became dead letters before that')
    .option('--partition <N>')
    .option('--offset <N>')
    .option('--event-id <UUID>')
    .option('--sqlstate <CODE>')
    .option(
      '--cluster <ID>',
      'if the topic had several clusters ("adopt" appends " until <time>" to the earlier ones)',
    )
    .option('--limit <N>', 'at most N letters (list: 50)')
    .optionsGroup('For list:')
    .option('--order <ORDER>', 'newest (the default) or oldest')
    .optionsGroup('For list and show:')
    .option('--json', 'print one line of JSON for each letter')
    .optionsGroup('For replay:')
    .option(
      '--new-id',
      'store an event under a new id, derived from its coordinates, if its own id belongs to another event',
    )
    .optionsGroup('For discard:')
    .option('--why <TEXT>', 'the reason, which is kept in the history')
    .optionsGroup('For replay and discard:')
    .option('--dry-run', 'only print what would be done')
    .option('-y, --yes', 'do not ask for confirmation; needed without a terminal')
    .addHelpText(
      'after',
      `
The command works on the letters of the topic KAFKA_TOPIC (events) in the database DATABASE_URL (or PG*). Run it as the
owner of the tables: the sink's own role may not change dead letters. It reads from Kafka only values of more than 1 MiB.
The sink can keep running.
Exit code 0: all done. 1: some letters stay as they are. 2: the command could not run. 64: wrong usage. 130: Ctrl-C.`,
    )
}

async function main(words: readonly string[], values: OptionValues): Promise<number> {
  const config = readSettingsOfSink()
  const asked = readCommand(words, values, config.topic.name, Date.now())
  const database = new Database(
    config.database,
    Math.max(config.databaseTimeoutMs, MIN_SILENCE_MS),
    'firehose-dlq',
  )
  try {
    await open(database, config.databaseAddress)
    return await run(asked, database, config)
  } catch (error) {
    if (error instanceof UsageError) throw error
    const lacksPrivilege = sqlstateOf(error) === '42501' // insufficient_privilege
    console.error(
      `${lacksPrivilege ? `${(error as Error).message}: run the command as the owner of the tables` : describeError(error)}.`,
    )
    return 2
  } finally {
    await database.close()
  }
}

/** @throws an Error with one sentence for people */
async function open(database: Database, address: string): Promise<void> {
  try {
    await database.open()
  } catch (error) {
    throw new Error(`PostgreSQL at ${address} cannot be used: ${describeError(error)}`, { cause: error })
  }
}

async function run(asked: Asked, db: Database, config: SinkConfig): Promise<number> {
  switch (asked.name) {
    case 'list':
      return await list(asked, db)
    case 'show':
      return await show(asked, db)
    case 'replay':
      return await replayCommand(asked, db, config)
    case 'discard':
      return await discardCommand(asked, db)
  }
}

async function list(asked: Extract<Asked, { name: 'list' }>, db: Database): Promise<number> {
  const { selection, order, limit, json } = asked
  const groups = json ? [] : await countLetters(db, { ...selection, states: [] })
  const letters = await listLetters(db, selection, order, limit)
  if (json) {
    for (const letter of letters) console.log(text.headJson(letter, selection.topic))
    if (letters.length === limit) console.error(`At most ${limit} letters are shown (--limit).`)
    return 0
  }
  if (groups.length === 0) {
    console.log('There are no such dead letters.')
    return 0
  }
  console.log(`${text.summaryText(groups)}\n`)
  if (letters.length > 0) console.log(text.listText(letters, groups))
  const { states } = selection
  const count = text.sum(groups.filter(({ state }) => states.length === 0 || states.includes(state)))
  const which = states.length === 0 ? '' : `, ${states.join(', ')}`
  const some = letters.length < count ? `: the ${letters.length} ${order} shown (--limit)` : ''
  console.log(`(${text.lettersText(count)}${which}${some})`)
  return 0
}

async function show(asked: Extract<Asked, { name: 'show' }>, db: Database): Promise<number> {
  const { selection, json } = asked
  const { topic } = selection
  let shown = 0
  for (let page = await readPage(db, selection, PAGE_KEYS); page.length > 0; ) {
    for (const key of page) {
      const letter = await readLetter(db, topic, key)
      if (letter === undefined) continue
      const history = await readHistory(db, topic, key)
      if (!json && shown > 0) console.log('')
      console.log((json ? text.letterJson : text.letterText)(letter, topic, history))
      shown += 1
    }
    page = await readPage(db, { ...selection, after: page.at(-1) }, PAGE_KEYS)
  }
  if (shown === 0) console.error('There is no such dead letter.')
  return shown === 0 ? 1 : 0
}
