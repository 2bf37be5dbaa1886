import { canonicalTimestamp } from '../event/timestamp.ts'
import { createLogger } from '../platform/log.ts'
import { UsageError } from '../platform/usage-error.ts'
import { withClusterInspector } from '../kafka/cluster-inspector.ts'
import type { Target } from '../sink-worker/positions/resolve.ts'
import { chosenPartitions, move, moveCommand, type MoveOptions, type Place } from './move-offsets.ts'

export const command = moveCommand(
  'rewind',
  'Reads records again, from an offset (--to) or from a time (--to-time).',
  ['--all'],
  async (options) => {
    checkUsage(options)
    return await move('rewind', options, rewindTargets)
  },
)

/** @throws {UsageError} */
function checkUsage({ to, toTime: time, all }: MoveOptions): void {
  if (all) throw new UsageError('--all is an option of "adopt".')
  if ((to === undefined) === (time === undefined))
    throw new UsageError('"rewind" needs either --to or --to-time.')
  if (to !== undefined && !/^\d{1,18}$/.test(to)) throw new UsageError(`--to must be an offset, not "${to}".`)
  if (time !== undefined && canonicalTimestamp(time) === undefined)
    throw new UsageError(`--to-time must be an RFC 3339 time such as 2026-01-02T03:04:05Z, not "${time}".`)
}

async function rewindTargets({ description, config, options }: Place): Promise<Target[]> {
  const { to, toTime: time } = options
  const partitions = chosenPartitions(description, options)
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
