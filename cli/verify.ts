import { parseArgs } from 'node:util'
import { databaseUrl } from '../runtime/database-url.ts'
import { ConfigError, readSettings } from '../runtime/env.ts'
import { kafkaConfig, kafkaSettings } from '../runtime/kafka-client.ts'
import { type Finding, type Verdict, verify, type VerifyProgress } from '../proof/verify.ts'

const HELP = `Compares what Kafka holds and what was acknowledged with what PostgreSQL holds. Changes nothing.

npm run verify -- [--acked FILE]
  --acked FILE   events that were acknowledged, one line each: event_id<TAB>body (from npm run load -- --acked FILE)
  --help

Environment: KAFKA_BOOTSTRAP_SERVERS (127.0.0.1:19092), KAFKA_TOPIC (events) and the other KAFKA_ settings of the
services; DATABASE_URL, else PG* (the database of npm start).
Exit code 0: nothing is missing or different. 1: something is. 2: the comparison could not be made.
`

process.exitCode = await main()

async function main(): Promise<number> {
  try {
    const { values } = parseArgs({
      options: { acked: { type: 'string' }, help: { type: 'boolean', default: false } },
    })
    if (values.help) {
      process.stdout.write(HELP)
      return 0
    }
    const verdict = await verify({
      ...targets(),
      ...(values.acked === undefined ? {} : { ackedFile: values.acked }),
      onProgress,
    })
    print(verdict)
    return verdict.ok ? 0 : 1
  } catch (error) {
    process.stderr.write(`${messageOf(error)}\n`)
    return 2
  }
}

function targets() {
  const { connection, topic } = kafkaConfig(readSettings(kafkaSettings, process.env))
  return {
    databaseUrl: databaseUrl(process.env),
    kafkaBootstrapServers: connection.brokers.join(','),
    kafkaAccess: {
      ...(connection.ssl === undefined ? {} : { ssl: connection.ssl }),
      ...(connection.sasl === undefined ? {} : { sasl: connection.sasl }),
    },
    topic: topic.name,
  }
}

function messageOf(error: unknown): string {
  if (error instanceof ConfigError) return error.problems.join('\n')
  // Several addresses were tried: the error that holds theirs has no message of its own.
  if (error instanceof AggregateError) return error.errors.map(messageOf).join('\n')
  return error instanceof Error ? error.message : String(error)
}

function onProgress({ records, records_total, acked }: VerifyProgress): void {
  process.stderr.write(
    `${records} of ${records_total} records read, ${acked} acknowledged events looked up\n`,
  )
}

function print(verdict: Verdict): void {
  list('MISSING', verdict.missing, verdict.missing_count)
  list('DIFFERENT', verdict.different, verdict.different_count)
  list('ACKED, MISSING', verdict.acked_missing, verdict.acked_missing_count)
  list('ACKED, DIFFERENT', verdict.acked_different, verdict.acked_different_count)
  for (const problem of verdict.problems) line(`PROBLEM  ${problem}`)
  const rows: [string, number][] = [
    ['records that the sink has read', verdict.records],
    ['  stored, each once', verdict.stored],
    ['  duplicates of these', verdict.duplicates],
    ['  dead letters', verdict.dead],
    ['  missing', verdict.missing_count],
    ['  different', verdict.different_count],
    ['records not yet read', verdict.not_yet_read],
    ['acknowledged events', verdict.acked],
    ['  stored', verdict.acked_stored],
    ['  dead letters', verdict.acked_dead],
    ['  in Kafka, not yet read', verdict.acked_not_yet_read],
    ['  missing', verdict.acked_missing_count],
    ['  different', verdict.acked_different_count],
  ]
  for (const [name, count] of rows) line(`${name.padEnd(32)}${String(count).padStart(12)}`)
  line(verdict.ok ? 'OK: nothing is missing, nothing is different.' : 'NOT OK.')
}

function list(kind: string, findings: readonly Finding[], count: number): void {
  for (const { event_id, partition, offset, why } of findings) {
    const place = partition === null ? 'no record' : `partition ${partition} offset ${offset}`
    line(`${kind}  ${event_id ?? 'no id'}  ${place}: ${why}`)
  }
  if (count > findings.length) line(`${kind}  ... and ${count - findings.length} more`)
}

function line(text: string): void {
  process.stdout.write(`${text}\n`)
}
