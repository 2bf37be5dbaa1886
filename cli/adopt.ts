import { createLogger } from '../platform/log.ts'
import { UsageError } from '../platform/usage-error.ts'
import { RecordReader } from '../kafka/record-reader.ts'
import { findStopped, type ReadRecords, type Target } from '../sink-worker/positions/resolve.ts'
import { chosenPartitions, move, moveCommand, type MoveOptions, type Place } from './move-offsets.ts'

export const command = moveCommand(
  'adopt',
  'Reads stopped partitions from their first record: accepts the topic as it is now.',
  ['--to', '--to-time'],
  async (options) => {
    checkUsage(options)
    return await move('adopt', options, adoptTargets)
  },
)

/** @throws {UsageError} */
function checkUsage({ to, toTime, partition, all }: MoveOptions): void {
  if ((to ?? toTime) !== undefined) throw new UsageError('--to and --to-time are options of "rewind".')
  if (all && partition.length > 0) throw new UsageError('--all and --partition cannot be combined.')
}

/** The start of the partitions given by --partition or --all, else of the stopped ones. */
async function adoptTargets({ database, description, config, options }: Place): Promise<Target[]> {
  if (description.compacted)
    throw new Error('the topic is compacted, which deletes events: set its cleanup.policy to "delete"')
  if (options.all || options.partition.length > 0)
    return chosenPartitions(description, options).map((partition) => ({ partition, offset: 0n }))
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
    console.log('Nothing to adopt. (--partition N or --all reads partitions again that are not stopped.)')
  return [...stopped.keys()].map((partition) => ({ partition, offset: 0n }))
}
