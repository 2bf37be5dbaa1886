// What `firehose adopt` and `firehose rewind` share.
import { type Command, Option } from 'commander'
import { createLogger } from '../platform/log.ts'
import { UsageError } from '../platform/usage-error.ts'
import type { SinkConfig } from '../sink-worker/config.ts'
import { Database } from '../postgres/database.ts'
import type { TopicDescription } from '../sink-worker/record-source.ts'
import { moveOffsets, type Target } from '../sink-worker/positions/resolve.ts'
import { KafkaTopicInspector } from '../kafka/consumer/kafka-topic-inspector.ts'
import { collect, newCommand } from './command.ts'
import { ask, kafkaAddress, readSettingsOfSink } from './command-settings.ts'
import { endOnSignal } from './stop-on-signal.ts'
import { messageOf } from './verify-text.ts'

const DESCRIPTION = `

The sink stops a partition if its offsets cannot be right: the topic was recreated, belongs to another cluster, or has
lost records. If the current topic is the right one, use "adopt"; if the database was restored or rows were deleted, use
"rewind". Both only move offsets in PostgreSQL: stored events stay, and events that are read again are recognised by
their event_id. "rewind" never skips unread records. A running sink continues within 10 s.`

/** The options of both; each command hides those that only the other one has. */
export interface MoveOptions {
  to?: string
  toTime?: string
  partition: string[]
  all: boolean
  dryRun: boolean
}

/** A command with the options of both. @param hides the options that only the other command has */
export function moveCommand(
  name: 'adopt' | 'rewind',
  does: string,
  hides: readonly string[],
  act: (options: MoveOptions) => Promise<number>,
): Command {
  const command = newCommand(name, does + DESCRIPTION)
  for (const option of [
    new Option('--to <OFFSET>', 'read again from an offset (0: from the first record)'),
    new Option(
      '--to-time <TIME>',
      "read again what Kafka appended from this time on, by its own clock; by the producers' clocks if the topic has \
message.timestamp.type=CreateTime (RFC 3339, UTC unless an offset is given: 2026-01-02T03:04:05Z)",
    ),
    new Option('--partition <N>', 'this partition, stopped or not; may be repeated')
      .default([])
      .argParser(collect),
    new Option('--all', 'all partitions, not only stopped ones').default(false),
    new Option('--dry-run', 'print what would be moved, and move nothing').default(false),
  ])
    command.addOption(option.hideHelp(hides.includes(option.long ?? '')))
  return command.addHelpText('after', '\nSettings: see the README.').action(async (options: MoveOptions) => {
    checkPartitions(options.partition)
    process.exitCode = await act(options)
  })
}

function checkPartitions(partitions: readonly string[]): void {
  const bad = partitions.find((number) => !/^\d{1,9}$/.test(number))
  if (bad !== undefined) throw new UsageError(`--partition must be a number, not "${bad}".`)
}

export interface Place {
  database: Database
  description: TopicDescription
  config: SinkConfig
  options: MoveOptions
}

/** The partitions given by --partition, else all. */
export function chosenPartitions(description: TopicDescription, { partition }: MoveOptions): number[] {
  return partition.length > 0 ? partition.map(Number) : [...description.partitions.keys()]
}

/** Moves the offsets, or prints what would be moved. @returns the exit code */
export async function move(
  name: 'adopt' | 'rewind',
  options: MoveOptions,
  chooseTargets: (place: Place) => Promise<Target[]>,
): Promise<number> {
  endOnSignal() // PostgreSQL rolls back an open transaction
  const config = readSettingsOfSink()
  const database = new Database(config.database, config.databaseTimeoutMs)
  const inspector = new KafkaTopicInspector(config.kafka, config.topic, createLogger('sink', 'silent'))
  try {
    const kafka = `Kafka at ${kafkaAddress(config.kafka.brokers)}`
    const description = await ask(kafka, async () => await inspector.describe())
    await ask(`PostgreSQL at ${config.databaseAddress}`, async () => await database.open())
    const targets = await chooseTargets({ database, description, config, options })
    const moved = await moveOffsets(database, description, config.topic.name, targets, {
      onlyBack: name === 'rewind',
      isOtherTopic: name === 'adopt',
      isDryRun: options.dryRun,
    })
    for (const { partition, from, to } of moved) {
      const now = options.dryRun ? 'would be' : 'is now'
      console.log(
        `partition ${partition}: ${from === null ? 'new' : `from ${from}`}, next offset ${now} ${to}`,
      )
    }
    if (options.dryRun && moved.length > 0) console.log('Nothing was moved (--dry-run).')
    return 0
  } catch (error) {
    console.error(`Nothing was moved: ${messageOf(error)}`)
    return 1
  } finally {
    await database.close()
  }
}
