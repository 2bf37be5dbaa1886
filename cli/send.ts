import { addAbortSignal } from 'node:stream'
import { UsageError } from '../platform/usage-error.ts'
import { escapeControls } from '../platform/escape-controls.ts'
import { type EventOptions, eventFromOptions } from '../tools/send/event-text.ts'
import { sendEvents } from '../tools/send/send.ts'
import { splitEvents } from '../tools/send/split-events.ts'
import { API_KEY_HELP, eventTarget } from './api-key.ts'
import { newCommand } from './command.ts'
import { API_URL_HELP, checkUrl } from './service-url.ts'
import { EXIT_STOPPED, stopOnSignal } from './stop-on-signal.ts'

interface Values {
  userId?: string
  anonymous?: string
  name?: string
  metadata?: string
  type?: string
  session?: string
  source?: string
  timestamp?: string
  eventId?: string
  retryFor: string
  url?: string
}

export const command = newCommand(
  'send',
  'Sends an event to the API, and prints its event_id once it is accepted.',
)
  .argument('[-]', 'read the events from standard input')
  .option('--user-id <ID>', 'the user: a 64-bit integer, or any text if the API has USER_ID_TYPE=text')
  .option('--anonymous <ID>', 'the visitor (anonymous_id), instead of the user or besides')
  .option('--name <TEXT>', 'what happened (event_name)')
  .option('--metadata <JSON>', 'the metadata, a JSON object; by default {}, if there is --name')
  .option('--type <TEXT>', 'event_type')
  .option('--session <ID>', 'session_id')
  .option('--source <TEXT>', 'source')
  .option('--timestamp <TIME>', 'when it happened, RFC 3339; by default now')
  .option('--event-id <UUID>', 'the id; by default a new UUIDv7')
  .option('--retry-for <SECONDS>', 'for how long failed attempts are repeated; 0: one attempt', '30')
  .option('--url <URL>', API_URL_HELP)
  .addHelpText(
    'after',
    `
Example: firehose send --user-id 42 --name page_viewed --metadata '{"page":"/pricing"}'

If no option gives an event, or with -, the events are read from standard input: whole events as JSON, one per line, or
a single event over several lines. Each is sent when its line has been read, without the following ones. If event_id or
timestamp is missing, it is added. Numbers are sent with exactly the digits that you give, in any length.

If the API does not answer, or answers 503 or 429, the same bytes are sent again: the event is stored once. What is wrong
with an event is printed on standard error, one sentence for each fault, and the next event is sent. If the API stays
unavailable, or does not know the key, nothing more is sent.

${API_KEY_HELP}
Exit code 0: all events were accepted. 1: one was not, or there was none. 64: wrong usage. 78: wrong settings. 130: Ctrl-C.`,
  )
  .action(async (input: string | undefined, values: Values) => {
    process.exitCode = await main(input, values)
  })

/** @throws {UsageError} */
async function main(input: string | undefined, values: Values): Promise<number> {
  const { retryFor, url: _, userId, eventId, ...others } = values
  const given: EventOptions = { ...others, 'user-id': userId, 'event-id': eventId }
  const fromOptions = Object.values(given).some((value) => value !== undefined)
  check(input, values, fromOptions)
  const target = eventTarget(values.url)
  const signal = stopOnSignal(() => {})
  const events = fromOptions ? [eventOf(given)] : splitEvents(addAbortSignal(signal, process.stdin))
  try {
    const allAccepted = await sendEvents(events, {
      ...target,
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

/** @throws {UsageError} */
function eventOf(given: EventOptions): Buffer {
  try {
    return eventFromOptions(given)
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
}

/** @throws {UsageError} */
function check(input: string | undefined, { url, retryFor }: Values, fromOptions: boolean): void {
  checkUrl('--url', url)
  if (!/^\d{1,6}(\.\d{1,3})?$/.test(retryFor)) {
    throw new UsageError(`--retry-for must be a number of seconds, not "${retryFor}".`)
  }
  if (input !== undefined && input !== '-') throw new UsageError(`"${input}" is not an option.`)
  if (fromOptions && input === '-') throw new UsageError('An event is given by options or by -, not by both.')
  if (!fromOptions && input === undefined && process.stdin.isTTY) {
    throw new UsageError(
      'There is no event: give --user-id and --name, or events on standard input (firehose send --help).',
    )
  }
}

/** The text may hold what a client or a server chose; a line that can be sent again stays a line of its own. */
function say(text: string): void {
  process.stderr.write(`${text.split('\n').map(escapeControls).join('\n')}\n`)
}
