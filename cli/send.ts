// `npm run send`: sends events to the API, from options or standard input.
import { addAbortSignal } from 'node:stream'
import { escapeControls } from '../platform/escape-controls.ts'
import { type EventOptions, eventFromOptions } from '../tools/send/event-text.ts'
import { sendEvents } from '../tools/send/send.ts'
import { splitEvents } from '../tools/send/split-events.ts'
import { parseArgsOrExit } from './args.ts'
import { EXIT_STOPPED, stopOnSignal } from './stop-on-signal.ts'

const HELP = `Sends an event to the API, and prints its event_id once it is accepted.

npm run send -- --user-id 42 --metadata '{"page":"/pricing"}' [options]
npm run send -- [-] [options] < events.ndjson
  --user-id N            the user, any 64-bit integer
  --metadata JSON        the metadata, a JSON object
  --timestamp TIME       when it happened, RFC 3339 (now)
  --event-id UUID        the id (a new UUIDv7)
  --retry-for SECONDS    for how long a failed attempt is followed by another one (30); 0: one attempt
  --url URL              address of the API (API_URL, else http://127.0.0.1:8000)
  --help

Without --user-id and --metadata, or with -, the events are read from standard input: whole events as JSON, one per line,
or a single event over several lines. Each is sent when its line has been read, without the following ones. If event_id
or timestamp is missing, it is added. Numbers are sent with exactly the digits that you give, in any length.

If the API does not answer or answers 503, the same bytes are sent again: the event is stored once. What is wrong with an
event is printed on standard error, one sentence for each fault, and the next event is sent. If the API stays
unavailable, nothing more is sent.
Exit code 0: all events were accepted. 1: one was not, or there was none. 64: wrong usage. 130: Ctrl-C.
`

const EX_USAGE = 64 // sysexits.h

const { values, positionals } = parseArgsOrExit({
  allowPositionals: true,
  options: {
    'user-id': { type: 'string' },
    metadata: { type: 'string' },
    timestamp: { type: 'string' },
    'event-id': { type: 'string' },
    'retry-for': { type: 'string', default: '30' },
    url: { type: 'string', default: process.env.API_URL || 'http://127.0.0.1:8000' },
    help: { type: 'boolean', short: 'h', default: false },
  },
})

if (values.help) process.stdout.write(HELP)
else process.exitCode = await main()

async function main(): Promise<number> {
  const { url, 'retry-for': retryFor, 'user-id': userId, metadata, timestamp, 'event-id': eventId } = values
  const given: EventOptions = { 'user-id': userId, metadata, timestamp, 'event-id': eventId }
  const fromOptions = Object.values(given).some((value) => value !== undefined)
  const signal = stopOnSignal(() => {})
  let events: Iterable<Buffer> | AsyncIterable<Buffer>
  try {
    check(fromOptions)
    events = fromOptions ? [eventFromOptions(given)] : splitEvents(addAbortSignal(signal, process.stdin))
  } catch (error) {
    say(`${(error as Error).message} Try --help.`)
    return EX_USAGE
  }
  try {
    const allAccepted = await sendEvents(events, {
      url,
      retryMs: Number(retryFor) * 1_000,
      signal,
      onAccepted: (id) => process.stdout.write(`${id}\n`),
      onTrouble: (event, sentence) => say(fromOptions ? sentence : `Event ${event}: ${sentence}`),
    })
    if (signal.aborted) return EXIT_STOPPED
    return allAccepted ? 0 : 1
  } catch (error) {
    if (signal.aborted) return EXIT_STOPPED
    throw error
  }
}

/** @throws an Error with one sentence about the command line */
function check(fromOptions: boolean): void {
  const { url, 'retry-for': retryFor } = values
  if (!/^https?:\/\//.test(url) || !URL.canParse(url)) {
    throw new Error(`--url must be an address such as http://127.0.0.1:8000, not "${url}".`)
  }
  if (!/^\d{1,6}(\.\d{1,3})?$/.test(retryFor)) {
    throw new Error(`--retry-for must be a number of seconds, not "${retryFor}".`)
  }
  const [first, ...more] = positionals
  if ((first !== undefined && first !== '-') || more.length > 0) {
    throw new Error(`"${first === '-' ? more[0] : first}" is not an option.`)
  }
  if (fromOptions && first === '-') throw new Error('An event is given by options or by -, not by both.')
  if (!fromOptions && first === undefined && process.stdin.isTTY) {
    throw new Error('There is no event: give --user-id and --metadata, or events on standard input.')
  }
}

/** The text may hold what a client or a server chose; a line that can be sent again stays a line of its own. */
function say(text: string): void {
  process.stderr.write(`${text.split('\n').map(escapeControls).join('\n')}\n`)
}
