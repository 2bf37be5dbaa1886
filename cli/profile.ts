import { fileURLToPath } from 'node:url'
import { writeBacklog } from '../bench/backlog.ts'
import { pinService } from '../bench/machine.ts'
import { profiled, profileIn, topSelfTimes } from '../bench/profile.ts'
import { saturate } from '../bench/saturate.ts'
import { startStack } from '../bench/stack.ts'
import { setTimeout as delay } from 'node:timers/promises'

const what = process.argv[2]
const dir = fileURLToPath(new URL(`../bench/results/profile-${what}`, import.meta.url))
const env = profiled(dir)
const stack = await startStack({ KAFKA_TOPIC_PARTITIONS: '4' })
const { pipeline } = stack
try {
  if (what === 'sink') {
    await (await pipeline.startSink()).stop(10_000)
    await writeBacklog({
      bootstrapServers: pipeline.backend.kafka.bootstrapServers,
      topic: 'events',
      partitions: 4,
      records: 400_000,
    })
    const s = await pinService(pipeline.startService('sink-worker/main.ts', 'SINK_PORT', env), 0)
    while (Number((await s.health())?.total_stored) < 400_000) await delay(100)
    await s.stop(30_000)
  } else {
    const s = await pinService(
      pipeline.startService(
        what === 'alone' ? 'bench/servers/api-without-kafka.ts' : 'producer-api/main.ts',
        'PORT',
        env,
      ),
      0,
    )
    console.error(
      await saturate(s.pid ?? 0, {
        url: s.url,
        connections: what === 'batch' ? 32 : 256,
        batch: what === 'batch' ? 100 : 1,
        warmUpMs: 3000,
        measuredMs: 8000,
        isFloor: false,
      }),
    )
    await s.stop(30_000)
  }
} finally {
  await pipeline.close()
}
const file = profileIn(dir)
console.log(file)
for (const { where, ms, share } of topSelfTimes(file, Number(process.argv[3] ?? 40)))
  console.log(`${(share * 100).toFixed(1).padStart(5)}%  ${ms.toFixed(0).padStart(6)} ms  ${where}`)
