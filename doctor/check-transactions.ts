import type { DoctorSettings, Facts } from './facts.ts'
import type { Finding, Level } from './finding.ts'
import { duration, listed, plural } from './units.ts'

/** What transactions take, unless their producers are told otherwise (transaction.timeout.ms). */
const LONG_S = 60

/**
 * Transactions of other producers: what follows where one began cannot be read before it ends. How long it is open is
 * not known: its records have the times that their producer gave them, which for an import are days old. So none is
 * more than a warning.
 */
export function checkTransactions({ settings, between }: Facts): Finding[] {
  if (between?.ok !== true) return []
  const { heldBack, heldSinceMs, atMs } = between.value
  if (heldBack.length === 0 || heldSinceMs === undefined) {
    return [{ check: 'transactions', level: 'ok', text: 'No open transaction holds records back.' }]
  }
  const ageS = (atMs - heldSinceMs) / 1_000
  const level: Level = ageS < LONG_S ? 'note' : 'warning'
  const records = heldBack.reduce((sum, { from, to }) => sum + Number(to - from), 0)
  const first = new Date(heldSinceMs).toISOString().replace(/\.\d+/, '')
  const which =
    heldBack.length === 1
      ? 'an open transaction of another producer: its'
      : 'open transactions of other producers: their'
  return [
    {
      check: 'transactions',
      level,
      text: `${plural(records, 'record')} of partition ${listed(heldBack.map(({ partition }) => partition))} wait behind ${which} first record is of ${first} (${duration(ageS)} ago), as the producer dates it. The sink cannot pass it.`,
      mend: mendOf(settings, level),
    },
  ]
}

function mendOf({ brokers, topic }: DoctorSettings, level: Level): string {
  if (level === 'note') return 'Wait: it ends with its producer, or by its transaction.timeout.ms.'
  const confirm = `kafka-transactions.sh --bootstrap-server ${brokers.join(',')} find-hanging --topic ${topic}`
  return `Wait while its producer runs, an import may be of old events. If it stays, confirm that it hangs: ${confirm}; then abort what that names (kafka-transactions.sh abort, with that partition and start offset).`
}
