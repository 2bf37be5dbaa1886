import type { NodeService } from '../../embedded/node-service.ts'
import type { Pipeline } from '../../tools/stack/pipeline.ts'
import type { SinkHealth } from '../../tools/stack/sink-health.ts'
import { until } from './until.ts'

/** Waits until the sink answers and `condition` holds, and returns its /health. */
export async function untilHealth(
  what: string,
  sink: NodeService,
  condition: (health: SinkHealth) => boolean,
  limitMs?: number,
): Promise<SinkHealth> {
  return await until(
    what,
    async () => {
      const health = (await sink.health()) as unknown as SinkHealth | undefined
      return health !== undefined && condition(health) ? health : undefined
    },
    limitMs,
  )
}

/** Waits until the state is `running` and there is no lag. */
export async function caughtUp(sink: NodeService): Promise<SinkHealth> {
  return await untilHealth(
    'the sink has caught up',
    sink,
    ({ state, partitions }) => state === 'running' && partitions.every(({ lag }) => lag === 0),
  )
}

/** Waits until a partition is stopped, and returns the sink's /health. */
export async function stopped(sink: NodeService): Promise<SinkHealth> {
  return await untilHealth('the partition is stopped', sink, ({ state }) => state === 'stopped')
}

/** Waits until `events` has exactly this many rows. */
export async function storedRows(pipeline: Pipeline, count: number): Promise<void> {
  await until(`${count} rows`, async () => (await pipeline.countEvents()) === count)
}
