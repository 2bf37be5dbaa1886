import type { DoctorSettings, Facts } from './facts.ts'
import type { Finding, Level } from './finding.ts'
import { duration, instant, listed, plural } from '../platform/units.ts'

/** The default of the producer setting transaction.timeout.ms. */
const LONG_S = 60

/**
 * Open transactions of other producers: records after the start of one cannot be read before it ends. How long it has
 * been open is unknown, because the timestamps of its records are set by the producer (an import may write old ones).
 * Therefore the finding is never more than a warning.
 */
export function checkTransactions({ settings, comparison }: Facts): Finding[] {
  if (comparison?.ok !== true) return []
  const { heldBack, heldSinceMs, atMs } = comparison.value
  if (heldBack.length === 0 || heldSinceMs === undefined) {
    return [{ check: 'transactions', level: 'ok', text: 'No open transaction holds records back.' }]
  }
  const ageS = (atMs - heldSinceMs) / 1_000
  const level: Level = ageS < LONG_S ? 'note' : 'warning'
  const records = heldBack.reduce((sum, { from, to }) => sum + Number(to - from), 0)
  const which =
    heldBack.length === 1
      ? 'an open transaction of another producer; its'
      : 'open transactions of other producers; their'
  return [
    {
      check: 'transactions',
      level,
      text: `${plural(records, 'record')} of partition ${listed(heldBack.map(({ partition }) => partition))} wait for ${which} first record is dated ${instant(heldSinceMs)} (${duration(ageS)} ago) by its producer. The sink cannot read past it.`,
      mend: mendOf(settings, level),
    },
  ]
}

function mendOf({ brokers, topic }: DoctorSettings, level: Level): string {
  if (level === 'note') return 'Wait: it ends when its producer ends it, or by transaction.timeout.ms.'
  const confirm = `kafka-transactions.sh --bootstrap-server ${brokers.join(',')} find-hanging --topic ${topic}`
  return `Wait while its producer runs (an import may write old events). If it does not end, check whether it hangs: ${confirm}; then abort the transaction that this lists (kafka-transactions.sh abort, with that partition and start offset).`
}
