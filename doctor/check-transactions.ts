import type { Between, DoctorSettings, Facts } from './facts.ts'
import type { Finding, Level } from './finding.ts'
import { duration, listed, plural } from './units.ts'

/** What transactions take, unless their producers are told otherwise (transaction.timeout.ms). */
const LONG_S = 60
/** Kafka's default of transaction.max.timeout.ms: its coordinator ends all that are longer, if it knows of them. */
const LONGEST_MS = 900_000

/** Transactions of other producers: what follows where one began can not be read before it ends. */
export function checkTransactions({ settings, kafka, between }: Facts): Finding[] {
  if (between?.ok !== true) return []
  const { heldBack, heldSinceMs, atMs } = between.value
  if (heldBack.length === 0 || heldSinceMs === undefined) {
    return [{ check: 'transactions', level: 'ok', text: 'No open transaction holds records back.' }]
  }
  const configs = kafka.ok && kafka.value.brokerConfigs.ok ? kafka.value.brokerConfigs.value : {}
  const longestMs = Number(configs['transaction.max.timeout.ms'] ?? LONGEST_MS)
  const forS = (atMs - heldSinceMs) / 1_000
  const level: Level = forS < LONG_S ? 'note' : forS * 1_000 < longestMs ? 'warning' : 'critical'
  const records = heldBack.reduce((sum, { from, to }) => sum + Number(to - from), 0)
  const since = new Date(heldSinceMs).toISOString().replace(/\.\d+/, '')
  const which =
    heldBack.length === 1 ? 'an open transaction of another producer' : 'open transactions of other producers'
  return [
    {
      check: 'transactions',
      level,
      text: `${plural(records, 'record')} of partition ${listed(heldBack.map(({ partition }) => partition))} wait behind ${which}, since ${since} (${duration(forS)}): the sink cannot pass it${level === 'critical' ? ', and Kafka should have ended it after ' + duration(longestMs / 1_000) : ''}.`,
      mend: mendOf(settings, heldBack, level),
    },
  ]
}

function mendOf({ brokers, topic }: DoctorSettings, [first]: Between['heldBack'], level: Level): string {
  if (level === 'note') return 'Wait: it ends with its producer, or by its transaction.timeout.ms.'
  const at = `--bootstrap-server ${brokers.join(',')}`
  const abort = `kafka-transactions.sh ${at} abort --topic ${topic} --partition ${first?.partition} --start-offset ${first?.from}`
  return `End it in its producer; if that is gone and it hangs (kafka-transactions.sh ${at} find-hanging --topic ${topic}): ${abort}`
}
