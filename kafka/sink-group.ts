import { optionalText, type Setting } from '../platform/env.ts'

const PREFIX = 'firehose-sink-'

/**
 * The setting for the consumer group of the sinks. The default contains the topic name: sinks of two topics in one group
 * would take partitions from each other.
 */
export const groupSetting: Setting<string | undefined> = {
  ...optionalText(
    'Consumer group, shared by all sinks of a topic; sinks of another topic must use a different one',
  ),
  defaultText: `${PREFIX}<KAFKA_TOPIC>`,
}

/** The group of the sinks that read `topic`: the configured one, or the default. */
export function sinkGroupId(topic: string, named?: string): string {
  return named ?? PREFIX + topic
}
