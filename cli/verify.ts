import { Screen } from '../platform/screen.ts'
import { type Finding, type FindingKind, type Verdict, verify } from '../tools/verify/verify.ts'
import { newCommand } from './command.ts'
import { stackPrefix } from './command-settings.ts'
import { EXIT_STOPPED, stopOnSignal } from './stop-on-signal.ts'
import { ProgressDisplay } from './verify-progress.ts'
import { targetsOf } from './verify-targets.ts'
import { findingLine, messageOf } from './verify-text.ts'

const screen = new Screen(process.stderr)

interface Values {
  acked?: string
  json?: true
}

export const command = newCommand(
  'verify',
  `Compares the records in Kafka and the acknowledged events with the tables in PostgreSQL. Changes nothing, and can
run while the services run: records that the sink has not read yet are counted as not yet read, which is not a failure.
But it is a PROBLEM if no member of the sinks' group reads their partition, and a NOTE if the group has no members.`,
)
  .option(
    '--acked <FILE>',
    `acknowledged events, one per line: event_id<TAB>body (from firehose load --acked FILE); - is standard input: docker \
compose run --rm -T cli verify --acked - < acked.tsv`,
  )
  .option('--json', 'print only the verdict, as one JSON object; its lists hold the first 100 of each kind')
  .addHelpText(
    'after',
    `
Every event that is MISSING (in Kafka, but in no table) or DIFFERENT (stored with other content) is printed when it is
found, with its partition and offset; the counts follow at the end. Records that an open transaction of another producer
holds back for 15 s are a PROBLEM: they were not compared, and an acknowledged event that may be among them is not
reported as MISSING. Progress goes to standard error.

What maintenance may have deleted is counted as past retention: events received more than EVENTS_RETENTION_DAYS ago, and
letters discarded or replayed more than DEAD_LETTERS_RETENTION_DAYS ago. (If Kafka no longer has the record of an
acknowledged event, the time in its id counts, if that is a UUIDv7.) Set both as for firehose maintain.

Environment: KAFKA_BOOTSTRAP_SERVERS (127.0.0.1:19092), KAFKA_TOPIC (events), KAFKA_GROUP_ID and the other KAFKA_
settings of the services; EVENTS_RETENTION_DAYS, DEAD_LETTERS_RETENTION_DAYS; DATABASE_URL, else PG* (the database of
firehose start). The role must be able to read the tables and to create temporary tables.
Exit code 0: nothing is missing or different. 1: something is, or there is a PROBLEM. 2: the comparison could not be made.
64: wrong usage. 130: Ctrl-C.`,
  )
  .action(async (values: Values) => {
    process.exitCode = await main(values)
  })

async function main({ acked, json }: Values): Promise<number> {
  const signal = stopOnSignal(() => {
    screen.live('')
    screen.say('Stopping without a verdict (press Ctrl-C again to exit immediately)')
  })
  const progress = new ProgressDisplay(screen)
  const { asked, ...targets } = targetsOf(process.env)
  try {
    const verdict = await verify({
      ...targets,
      ...(acked === undefined ? {} : { ackedFile: acked }),
      ...(json ? {} : { onFinding: printFinding }),
      onProgress: (now) => {
        if (!signal.aborted) progress.show(now)
      },
      signal,
    })
    screen.live('')
    if (json) line(JSON.stringify(verdict))
    else printVerdict(verdict)
    return verdict.ok ? 0 : 1
  } catch (error) {
    screen.live('')
    if (signal.aborted) return EXIT_STOPPED
    screen.say(messageOf(error))
    screen.say(asked)
    return 2
  }
}

function printFinding(kind: FindingKind, finding: Finding): void {
  screen.live('')
  line(findingLine(kind, finding))
}

function printVerdict(verdict: Verdict): void {
  for (const problem of verdict.problems) line(`PROBLEM  ${problem}`)
  for (const note of verdict.notes) line(`NOTE  ${note}`)
  const rows: [string, number][] = [
    ['records that the sink has read', verdict.records],
    ['  stored, each once', verdict.stored],
    ['  duplicates', verdict.duplicates],
    ['  changed in the database since', verdict.changed],
    ['  dead letters', verdict.dead],
    ['  past retention', verdict.past_retention],
    ['  missing', verdict.missing_count],
    ['  different', verdict.different_count],
    ['records not yet read', verdict.not_yet_read],
    ['  in unread partitions', verdict.unread_count],
    ['offsets held back', verdict.held_back_count],
    ['acknowledged events', verdict.acked],
    ['  stored', verdict.acked_stored],
    ['  dead letters', verdict.acked_dead],
    ['  past retention', verdict.acked_past_retention],
    ['  in Kafka, not yet read', verdict.acked_not_yet_read],
    ['  not found, not compared', verdict.acked_not_judged],
    ['  missing', verdict.acked_missing_count],
    ['  different', verdict.acked_different_count],
  ]
  for (const [name, count] of rows) line(`${name.padEnd(32)}${String(count).padStart(12)}`)
  if (verdict.missing_from.length > 0) line('Missing events can be read from Kafka again:')
  for (const { partition, offset } of verdict.missing_from)
    line(`  ${stackPrefix()}npx firehose rewind --partition ${partition} --to ${offset}`)
  line(verdict.ok ? 'OK: nothing is missing, nothing is different.' : 'NOT OK.')
}

function line(text: string): void {
  process.stdout.write(`${text}\n`)
}
