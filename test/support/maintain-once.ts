/** One run of maintenance in a process of its own. Arguments: the connection string, and the time. Prints the actions. */
import { runOnce } from '../../maintenance/run.ts'

const [connectionString = '', nowMs] = process.argv.slice(2)
const { actions } = await runOnce({
  connectionString,
  policy: { unit: 'day', userIndex: 'immediate', retentionDays: undefined, deadLetterDays: undefined },
  dryRun: false,
  nowMs: Number(nowMs),
  report: () => {},
  signal: new AbortController().signal,
})
process.stdout.write(JSON.stringify(actions))
