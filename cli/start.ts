import { relative } from 'node:path'
import {
  commandPrefix,
  type LaunchConfig,
  launchConfig,
  launchSettings,
} from '../embedded/launch-settings.ts'
import { lockDirectory } from '../embedded/launcher-lock.ts'
import { Launcher } from '../embedded/launcher.ts'
import { Screen } from '../platform/screen.ts'
import { onEndRequest } from '../platform/signals.ts'
import { UserError } from '../embedded/user-error.ts'
import { newCommand, warn } from './command.ts'

const screen = new Screen(process.stdout)

export const command = newCommand(
  'start',
  `Runs Kafka, PostgreSQL, the API, the sink and maintenance on this machine until Ctrl-C; the data are kept.
Needs Java 17 or later and, the first time, Maven. To use Docker instead: docker compose up`,
)
  .addHelpText(
    'after',
    `
Settings (environment variables), in addition to those of the services:
${Object.entries(launchSettings)
  .map(([name, { doc, defaultText }]) => `  ${name.padEnd(14)} ${doc}${defaultText && ` (${defaultText})`}`)
  .join('\n')}`,
  )
  .action(async () => process.exit(await main(launchConfig(process.env))))

async function main(config: LaunchConfig): Promise<number> {
  const begun = Date.now()
  warn(config.warnings)
  let launcher: Launcher | undefined
  let unlock: (() => void) | undefined
  try {
    unlock = lockDirectory(config.dir)
    const started = new Launcher(config, screen, process.env)
    launcher = started
    process.on('exit', () => launcher?.killNow())
    const stopped = stopOnSignal(launcher)
    screen.say(`Firehose, data in ${config.dir}`)
    if (started.ignoredVariables.length > 0) {
      screen.say(
        `Ignored: ${started.ignoredVariables.join(', ')} (to use your own Kafka and PostgreSQL: npx firehose api, npx firehose sink)`,
      )
    }
    const run = launcher.start().then(() => {
      welcome(config, started, (Date.now() - begun) / 1000)
      return started.watch()
    })
    // After a stop request, errors of the services being stopped do not matter.
    await Promise.race([run, stopped.begun])
    await stopped.ended()
    // A service may have been starting at that moment.
    await launcher.kill()
    await run.catch(() => {})
    await launcher.kill()
    return 0
  } catch (error) {
    screen.live('')
    for (const line of explain(error)) console.error(line)
    await launcher?.kill()
    return 1
  } finally {
    unlock?.()
  }
}

interface Stopping {
  /** Resolves at the first stop request. */
  begun: Promise<void>
  /** Resolves when all services have stopped. */
  ended: () => Promise<void>
}

function stopOnSignal(launcher: Launcher): Stopping {
  let ended: Promise<void> | undefined
  const begun = new Promise<void>((resolve) => {
    const stop = (): void => {
      const firstMs = Date.now()
      screen.live('')
      screen.say('Stopping (repeat to kill at once)')
      ended = launcher
        .stop()
        .then(() => screen.say(`Stopped in ${((Date.now() - firstMs) / 1000).toFixed(1)} s`))
      resolve()
    }
    onEndRequest({ first: stop, again: () => void launcher.kill() })
  })
  return { begun, ended: () => ended ?? Promise.resolve() }
}

function welcome(config: LaunchConfig, { api, postgres, ignoredVariables }: Launcher, seconds: number): void {
  const event = { user_id: 1, timestamp: new Date().toISOString(), metadata: { page: '/' } }
  const logs = relative(process.cwd(), `${config.dir}/logs`)
  const firehose = `${commandPrefix(config, ignoredVariables)}npx firehose`
  const send = config.needsKey
    ? `${firehose} send --user-id 1 --name page_viewed\n${' '.repeat(17)}with API_KEY, or API_KEY_FILE, set to the secret of a key`
    : `curl -i ${api.url}/event -H 'content-type: application/json' -d '${JSON.stringify(event)}'`
  screen.say(`Ready in ${seconds.toFixed(1)} s.

Send an event:   ${send}
See the rows:    ${firehose} sql "select * from events order by received_at desc limit 5"
Check it:        ${firehose} doctor
Database:        ${postgres.url}
Documentation:   ${api.opsUrl}/docs
Logs:            ${logs}/*.log
Ctrl-C stops everything; the data are kept.
`)
}

function explain(error: unknown): string[] {
  if (error instanceof UserError) return [error.message]
  return [
    error instanceof Error ? error.message : String(error),
    'Could not start; see the log files for details.',
  ]
}
