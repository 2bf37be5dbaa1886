// Keeps a server saturated from a separate process: on each connection the next request follows the response at once.
// Prints the start and the end of the measured interval; see saturate.ts. The key, if there is one, is in API_KEY.
import { CommonHeaders } from '../load/common-headers.ts'
import { namedEvents, openRun, plainEvents } from '../load/events.ts'
import { HttpPool } from '../load/http-client.ts'
import { localTarget } from '../load/load.ts'
import { judge, LoadRequest } from '../load/load-request.ts'

export interface DriverOptions {
  url: string
  connections: number
  /** Events per request; 1 posts to /event. */
  batch: number
  warmUpMs: number
  measuredMs: number
  /** A baseline's responses list no ids: accept any 202. */
  isBaseline: boolean
  /** Send events with four short texts. */
  hasTexts?: boolean
}

const options: DriverOptions = JSON.parse(process.argv[2] ?? '{}')
const { host, port } = localTarget(options.url)
const run = openRun({ seed: `bench ${Math.random()}`, startedAtMs: Date.now() })
const events = options.hasTexts === true ? namedEvents(run) : plainEvents(run)
const { API_KEY: text } = process.env
const headers = new CommonHeaders(`${host}:${port}`, text ? { text } : undefined)
const pool = new HttpPool({ host, port, connections: options.connections, timeoutMs: 30_000 })
let [sent, accepted, failed, open] = [0, 0, 0, 0]
let isOver = false

function next(): void {
  const request = new LoadRequest(events, headers, sent, options.batch, options.batch > 1, 0)
  sent += options.batch
  open += 1
  pool.submit({
    render: () => request.render(),
    done: (outcome) => {
      open -= 1
      const isAccepted = options.isBaseline
        ? outcome.kind === 'response' && outcome.response.status === 202
        : judge(request, outcome).kind === 'accepted'
      if (isAccepted) accepted += options.batch
      else failed += options.batch
      if (!isOver) next()
      else if (open === 0) end()
    },
  })
}

function end(): void {
  process.stdout.write(`total ${accepted} ${failed}\n`)
  pool.close()
}

if ((await pool.open()) < options.connections)
  throw new Error(`${options.url} does not accept all connections`)
for (let n = 0; n < options.connections; n += 1) next()
setTimeout(() => {
  const before = accepted
  process.stdout.write('begin\n')
  setTimeout(() => {
    process.stdout.write(`end ${accepted - before}\n`)
    isOver = true
  }, options.measuredMs)
}, options.warmUpMs)
