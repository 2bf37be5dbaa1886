// `npm run where`: where an event is: in its table, among the dead letters, or perhaps still in Kafka.
import { canonicalUuid } from '../event/read-value.ts'
import { readConfigOrExit } from '../platform/shutdown.ts'
import { Database } from '../postgres/database.ts'
import { readSinkConfig } from '../sink-worker/config.ts'
import { describeError } from '../sink-worker/outage/sqlstate.ts'
import { findEvent } from '../tools/where/where.ts'
import { whereJson, whereText } from '../tools/where/where-text.ts'
import { parseArgsOrExit } from './args.ts'
import { endOnSignal } from './stop-on-signal.ts'

const HELP = `Finds an event by its id: its row in the table events, or the dead letters with this id (in any state, with
reason and coordinates). If there is neither, it says how many records of the topic are not stored yet, because the event
may be one of them. Changes nothing.

npm run where -- EVENT_ID [options]
  --metadata    also print the metadata of the row
  --json        print one JSON object (npm run --silent where -- EVENT_ID --json)
  --help

Environment: DATABASE_URL, else PG* (the database of npm start); KAFKA_BOOTSTRAP_SERVERS (127.0.0.1:19092), KAFKA_TOPIC
(events) and the other KAFKA_ settings. The role must be able to read the tables; the sink's role can.
Exit code 0: it is stored. 1: it is only a dead letter, or was not seen. 2: it could not be looked up. 64: wrong usage.
130: Ctrl-C.
`

const EX_USAGE = 64 // sysexits.h

const { values, positionals } = parseArgsOrExit({
  allowPositionals: true,
  options: {
    metadata: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  },
})

if (values.help) process.stdout.write(HELP)
else {
  endOnSignal()
  process.exitCode = await main()
}

async function main(): Promise<number> {
  const eventId = canonicalUuid(positionals[0] ?? '')
  if (eventId === undefined || positionals.length > 1) {
    process.stderr.write('Exactly one EVENT_ID is needed, a UUID with hyphens. Try --help.\n')
    return EX_USAGE
  }
  const {
    database: access,
    databaseTimeoutMs,
    kafka,
    topic,
  } = readConfigOrExit(() => readSinkConfig(process.env))
  const database = new Database(access, databaseTimeoutMs, 'firehose-where')
  try {
    await database.open()
    const found = await findEvent(database, {
      eventId,
      topic: topic.name,
      kafka,
      withMetadata: values.metadata,
    })
    process.stdout.write(`${values.json ? whereJson(found) : whereText(found, topic.name)}\n`)
    return found.row === undefined ? 1 : 0
  } catch (error) {
    process.stderr.write(`PostgreSQL cannot be used: ${describeError(error)}.\n`)
    return 2
  } finally {
    await database.close()
  }
}
