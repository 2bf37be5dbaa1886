import { canonicalUuid } from '../event/read-value.ts'
import { escapeControls } from '../platform/escape-controls.ts'
import { UsageError } from '../platform/usage-error.ts'
import { Database } from '../postgres/database.ts'
import { describeError } from '../sink-worker/outage/sqlstate.ts'
import { findEvent } from '../tools/where/where.ts'
import { whereJson, whereText } from '../tools/where/where-text.ts'
import { newCommand } from './command.ts'
import { readSettingsOfSink } from './command-settings.ts'
import { endOnSignal } from './stop-on-signal.ts'

interface Values {
  metadata?: boolean
  json?: boolean
}

export const command = newCommand(
  'where',
  `Finds an event by its id: its row in the table events, or the dead letters with this id (in any state, with reason and
coordinates). If there is neither, it says how many records of the topic are not stored yet, because the event may be one
of them. Changes nothing.`,
)
  .argument('<event_id>', 'a UUID with hyphens')
  .option('--metadata', 'also print the metadata of the row')
  .option('--json', 'print one JSON object')
  .addHelpText(
    'after',
    `
Environment: DATABASE_URL, else PG* (the database of firehose start); KAFKA_BOOTSTRAP_SERVERS (127.0.0.1:19092),
KAFKA_TOPIC (events) and the other KAFKA_ settings. The role must be able to read the tables; the sink's role can.
Exit code 0: it is stored. 1: it is only a dead letter, or was not seen. 2: it could not be looked up. 64: wrong usage.
130: Ctrl-C.`,
  )
  .action(async (given: string, values: Values) => {
    const eventId = canonicalUuid(given)
    if (eventId === undefined) throw new UsageError(`"${given}" is not a UUID with hyphens.`)
    endOnSignal()
    process.exitCode = await main(eventId, values)
  })

async function main(eventId: string, { metadata = false, json = false }: Values): Promise<number> {
  const { database: access, databaseAddress, databaseTimeoutMs, kafka, topic } = readSettingsOfSink()
  const database = new Database(access, databaseTimeoutMs, 'firehose-where')
  try {
    await database.open()
    const found = await findEvent(database, {
      eventId,
      topic: topic.name,
      kafka,
      withMetadata: metadata,
    })
    process.stdout.write(`${json ? whereJson(found) : whereText(found, topic.name)}\n`)
    return found.row === undefined ? 1 : 0
  } catch (error) {
    process.stderr.write(
      `${escapeControls(`PostgreSQL at ${databaseAddress} cannot be used: ${describeError(error)}.`)}\n`,
    )
    return 2
  } finally {
    await database.close()
  }
}
