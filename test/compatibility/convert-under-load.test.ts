import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { addNotEra } from '../../maintenance/convert/swap.ts'
import { eraFrom, firstIdAt, UNIT_MS } from '../../postgres/partitions/ranges.ts'
import { load } from '../../tools/load/load.ts'
import { Pipeline } from '../../tools/stack/pipeline.ts'
import { addRows, convertAt } from '../support/conversions.ts'
import { OtherDatabase } from '../support/databases.ts'
import { connectAs, pausedBy } from '../support/sink-faults.ts'

/* A conversion while events come in, as a sink stores them: none is lost, none is stored twice. */

/** I11 */
const LONGEST_PAUSE_MS = 1_000

let pipeline: Pipeline

before(async () => {
  pipeline = await Pipeline.start({ KAFKA_TOPIC_PARTITIONS: '2', EVENTS_PARTITION: 'none' })
})
after(async () => {
  await pipeline?.close()
})

/** The n-th id of a year in which a clock is wrong. */
function idOfEra(n: number): string {
  return `${firstIdAt(Date.now() + 500 * UNIT_MS.day).slice(0, 23)}-${String(n).padStart(12, '0')}`
}

for (const [what, idsBefore] of [
  ['no row of the era, but one that waits in Kafka because of the CHECK', 0],
  ['rows of the era: they are moved', 5],
] as const) {
  test(`I11: converted under load, with ${what}; nothing lost, nothing twice`, async () => {
    const table = await OtherDatabase.create(pipeline, `loaded_${idsBefore}`)
    assert.equal((await table.run('migrate', '--sink-role', 'firehose_sink')).code, 0)
    const api = await table.startApi()
    const sink = await table.spawnLeastPrivilegedSink()
    await addRows(table.url, 2_000)
    const post = async (n: number): Promise<void> => {
      const body = `{"event_id":"${idOfEra(n)}","user_id":1,"timestamp":"2026-01-02T03:04:05Z","metadata":{}}`
      const headers = { 'content-type': 'application/json' }
      assert.equal((await fetch(`${api.url}/event`, { method: 'POST', headers, body })).status, 202)
    }
    for (let n = 0; n < idsBefore; n++) await post(n)
    await table.stored(2_000 + idsBefore)
    const stop = new AbortController()
    const ackedFile = pipeline.path(`acked-${idsBefore}.tsv`)
    const loading = load({
      url: api.url,
      rate: 300,
      connections: 10,
      seconds: 120,
      ackedFile,
      retry: true,
      signal: stop.signal,
    })
    const writer = startWriter(table.url)
    if (idsBefore === 0) {
      // As a conversion leaves it that was killed.
      await table.query(`${addNotEra('events', eraFrom(Date.now() + 2 * UNIT_MS.day))} NOT VALID`)
      await post(100)
      await pausedBy(sink, /firehose_not_era.*run it/)
    }
    const { outcome, refused } = await convertAt(table.url)
    assert.equal(outcome, 'converted', refused.join('\n'))
    await post(200)
    const late = idsBefore === 0 ? 2 : 1

    const { longestMs, rows } = await writer.stop()
    stop.abort()
    const { acked } = await loading
    await table.stored(2_000 + idsBefore + late + rows + acked)
    const { code, out } = await table.run('verify', '--acked', ackedFile)
    assert.equal(code, 0, out)
    assert.equal((await table.query('SELECT FROM dead_letters')).length, 0)
    assert.ok(longestMs < LONGEST_PAUSE_MS, `${longestMs} ms`)
    assert.equal((await table.query(`SELECT FROM ONLY events_stray`)).length, idsBefore + late)
    await Promise.all([api.stop(10_000), sink.stop(10_000)])
  })
}

/** Writes one row after another, and measures how long each takes. */
function startWriter(url: string): { stop: () => Promise<{ longestMs: number; rows: number }> } {
  const ending = new AbortController()
  const writing = (async () => {
    const client = await connectAs(url)
    let [longestMs, rows] = [0, 0]
    for (; !ending.signal.aborted; rows++) {
      const beganMs = performance.now()
      await client.query(
        `INSERT INTO events (event_id, user_id, "timestamp", metadata, received_at) VALUES ($1, 1, now(), '{}', now())`,
        [`f${randomUUID().slice(1)}`],
      )
      longestMs = Math.max(longestMs, performance.now() - beganMs)
    }
    await client.end()
    return { longestMs, rows }
  })()
  return {
    stop: async () => {
      ending.abort()
      return await writing
    },
  }
}
