import { canonicalTimestamp } from '../event/timestamp.ts'
import { createLogger } from '../platform/log.ts'
import { RecordReader } from '../kafka/record-reader.ts'
import { readConfigOrExit } from '../platform/shutdown.ts'
import { readSinkConfig } from '../sink-worker/config.ts'
import { Database } from '../postgres/database.ts'
import type { TopicDescription } from '../sink-worker/record-source.ts'
import { findStopped, moveOffsets, type ReadRecords, type Target } from '../sink-worker/positions/resolve.ts'
import { withClusterInspector } from '../kafka/cluster-inspector.ts'
import { KafkaTopicInspector } from '../kafka/consumer/kafka-topic-inspector.ts'
import { parseArgsOrExit } from './args.ts'
import { endOnSignal } from './stop-on-signal.ts'

const HELP = `Usage: npm run sink                                        start the sink worker
       npm run sink -- adopt [options]                     read stopped partitions from their first record
       npm run sink -- rewind --to OFFSET [options]        read again from an offset (0: from the first record)
       npm run sink -- rewind --to-time TIME [options]     read again from a time (RFC 3339, UTC unless an offset is
                                                           given: 2026-01-02T03:04:05Z)

The sink stops a partition if its offsets cannot be right: the topic was recreated, belongs to another cluster, or has
lost records. If the current topic is the right one, use "adopt"; if the database was restored or rows were deleted, use
"rewind". Both only move offsets in PostgreSQL: stored events stay, and events that are read again are recognised by
their event_id. "rewind" never skips unread records. A running sink continues within 10 s.

  --partition N   this partition, stopped or not; may be repeated
  --all           adopt: all partitions, not only stopped ones
  --dry-run       print what would be moved, and move nothing

Settings: see the README.`

const EX_USAGE = 64 // of sysexits.h

const { positionals, values } = parseArgsOrExit({
  allowPositionals: true,
  options: {
    help: { type: 'boolean', short: 'h' },
    to: { type: 'string' },
    'to-time': { type: 'string' },
    partition: { type: 'string', multiple: true, default: [] },
    all: { type: 'boolean', default: false },
    'dry-run': { type: 'boolean', default: false },
  },
})
const [command] = positionals
const fault = usageFault()

if (values.help) console.log(HELP)
else if (fault !== undefined) {
  console.error(`${fault} Try --help.`)
  process.exitCode = EX_USAGE
} else if (command === undefined) await import('../sink-worker/main.ts')
else process.exitCode = await move(command === 'adopt' ? adoptTargets : rewindTargets)

/** What is wrong with the command line, in one sentence; undefined if nothing is. */
function usageFault(): string | undefined {
  const { to, 'to-time': time, partition, all } = values
  if (positionals.length > 1 || ![undefined, 'adopt', 'rewind'].includes(command))
    return `There is no command "${positionals.join(' ')}".`
  const bad = partition.find((number) => !/^\d{1,9}$/.test(number))
  if (bad !== undefined) return `--partition must be a number, not "${bad}".`
  if (command !== 'rewind' && (to ?? time) !== undefined) return '--to and --to-time are options of "rewind".'
  if (command !== 'adopt' && all) return '--all is an option of "adopt".'
  if (all && partition.length > 0) return '--all and --partition cannot be combined.'
  if (command !== 'rewind') return undefined
  if ((to === undefined) === (time === undefined)) return '"rewind" needs either --to or --to-time.'
  if (to !== undefined && !/^\d{1,18}$/.test(to)) return `--to must be an offset, not "${to}".`
  if (time !== undefined && canonicalTimestamp(time) === undefined)
    return `--to-time must be an RFC 3339 time such as 2026-01-02T03:04:05Z, not "${time}".`
  return undefined
}

interface Place {
  database: Database
  description: TopicDescription
  config: ReturnType<typeof readSinkConfig>
}

/** The start of the partitions given by --partition or --all, else of the stopped ones. */
async function adoptTargets({ database, description, config }: Place): Promise<Target[]> {
  if (description.compacted)
    throw new Error('the topic is compacted, which deletes events: set its cleanup.policy to "delete"')
  if (values.all || values.partition.length > 0)
    return chosenPartitions(description).map((partition) => ({ partition, offset: 0n }))
  const { kafka, topic } = config
  const read: ReadRecords = async (offsets) => {
    const reader = new RecordReader(kafka, topic.name, 'firehose-adopt', createLogger('sink', 'silent'))
    try {
      return await reader.read(offsets)
    } finally {
      await reader.close()
    }
  }
  const stopped = await findStopped(database, description, topic.name, read)
  for (const [partition, reason] of stopped) console.log(`partition ${partition} is stopped: ${reason}`)
  if (stopped.size === 0)
    throw new Error('no partition is stopped; use --partition N or --all to read partitions again anyway')
  return [...stopped.keys()].map((partition) => ({ partition, offset: 0n }))
}

async function rewindTargets({ description, config }: Place): Promise<Target[]> {
  const { to, 'to-time': time } = values
  const partitions = chosenPartitions(description)
  if (to !== undefined) return partitions.map((partition) => ({ partition, offset: BigInt(to) }))
  const timeMs = Date.parse(canonicalTimestamp(time ?? '') ?? '')
  const offsets = await withClusterInspector(
    config.kafka,
    'firehose-rewind',
    createLogger('sink', 'silent'),
    async (cluster) => await cluster.offsetsAt(config.topic.name, timeMs),
  )
  return partitions.map((partition) => ({ partition, offset: offsets.get(partition) ?? 0n }))
}

/** The partitions given by --partition, else all. */
function chosenPartitions(description: TopicDescription): number[] {
  return values.partition.length > 0 ? values.partition.map(Number) : [...description.partitions.keys()]
}

async function move(chooseTargets: (place: Place) => Promise<Target[]>): Promise<number> {
  endOnSignal() // PostgreSQL rolls back an open transaction
  const config = readConfigOrExit(() => readSinkConfig(process.env))
  const database = new Database(config.database, config.databaseTimeoutMs)
  const inspector = new KafkaTopicInspector(config.kafka, config.topic, createLogger('sink', 'silent'))
  try {
    const description = await inspector.describe()
    await database.open()
    const targets = await chooseTargets({ database, description, config })
    const moved = await moveOffsets(database, description, config.topic.name, targets, {
      onlyBack: command === 'rewind',
      isOtherTopic: command === 'adopt',
      isDryRun: values['dry-run'],
    })
    for (const { partition, from, to } of moved) {
      const now = values['dry-run'] ? 'would be' : 'is now'
      console.log(
        `partition ${partition}: ${from === null ? 'new' : `from ${from}`}, next offset ${now} ${to}`,
      )
    }
    if (values['dry-run']) console.log('Nothing was moved (--dry-run).')
    return 0
  } catch (error) {
    console.error(`Nothing was moved: ${(error as Error).message}`)
    return 1
  } finally {
    await database.close()
  }
}
