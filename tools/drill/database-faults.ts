import pg from 'pg'
import { gone } from './part.ts'
import type { Strike } from './scene.ts'
import type { Stage } from './stage.ts'

/* Faults in which PostgreSQL is running but not working. */

export const backendTerminated: Strike = async (scene) => {
  await scene.moment()
  const admin = await connect(scene.stage)
  try {
    const sessions = await admin.query<{ pid: number }>(
      `SELECT pid, pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'firehose-sink'`,
    )
    const pids = sessions.rows.map(({ pid }) => pid)
    return await scene.poll(async () => {
      const left = await admin.query('SELECT FROM pg_stat_activity WHERE pid = ANY($1)', [pids])
      return left.rowCount === 0 && pids.length > 0
        ? `${pids.length} sessions of the sinks were terminated`
        : undefined
    })
  } finally {
    await admin.end()
    scene.endHold()
  }
}

export const tableLocked: Strike = async (scene) => {
  await scene.moment()
  const locker = await connect(scene.stage)
  try {
    await locker.query('BEGIN; LOCK TABLE events IN ACCESS EXCLUSIVE MODE')
    scene.endHold(true)
    const evidence = await scene.poll(async () => {
      const { rowCount } = await locker.query(
        `SELECT FROM pg_locks JOIN pg_stat_activity USING (pid)
         WHERE NOT granted AND relation = 'events'::regclass AND application_name = 'firehose-sink'`,
      )
      return rowCount ? 'a sink waited for the lock' : undefined
    })
    await scene.pause(2_000)
    return evidence
  } finally {
    await locker.end()
    scene.endHold(true)
  }
}

export const diskFull: Strike = async (scene) => {
  const { disk, postgres: part } = scene.stage
  if (disk === undefined) return undefined
  await scene.moment()
  const pid = part.pid()
  disk.fill()
  try {
    scene.endHold(true)
    return await scene.poll(async () => {
      const reason = await scene.pauseReason(/No space left|could not extend/i)
      if (reason !== undefined) return `a sink paused: ${reason}`
      return await gone(part, pid)
    })
  } finally {
    disk.free()
    if ((await scene.poll(async () => ((await part.answers()) ? 'yes' : undefined), 3_000)) === undefined) {
      await part.kill()
      await part.start()
    }
  }
}

export const connectionsExhausted: Strike = async (scene) => {
  const taken: pg.Client[] = []
  const takeAll = async () => {
    for (;;) {
      try {
        taken.push(await connect(scene.stage))
      } catch (error) {
        if ((error as { code?: string }).code === '53300') return
        throw error
      }
    }
  }
  await scene.moment()
  try {
    await takeAll()
    // The sinks' connections are free for a moment: take them before the sinks reconnect.
    return await scene.poll(async () => {
      await taken[0]?.query(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'firehose-sink'`,
      )
      scene.endHold()
      await takeAll()
      const reason = await scene.pauseReason(/too many clients|remaining connection slots/)
      return reason && `a sink paused: ${reason}`
    })
  } finally {
    await Promise.all(taken.map(async (client) => await client.end()))
    scene.endHold()
  }
}

async function connect(stage: Stage): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: stage.databaseUrl })
  client.on('error', () => {})
  await client.connect()
  return client
}
