import { optionalText, type Setting } from '../platform/env.ts'

const PREFIX = 'firehose-sink-'

/**
 * The setting that names the sinks' consumer group. Its default follows the topic: sinks of two topics in one group would
 * take each other's partitions.
 */
export const groupSetting: Setting<string | undefined> = {
  ...optionalText(
    'Consumer group: all sinks of a topic share it, and sinks of another topic must have another one',
  ),
  defaultText: `${PREFIX}<KAFKA_TOPIC>`,
}

/** The group of the sinks that read `topic`: the one that is named, else the topic's own. */
export function sinkGroupId(topic: string, named?: string): string {
  return named ?? PREFIX + topic
}
