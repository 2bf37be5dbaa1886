import { CLOCK_TOLERANCE_MS, type KafkaFacts } from './facts-kafka.ts'
import type { PostgresFacts } from './facts-postgres.ts'
import type { ServiceFacts } from './facts-services.ts'
import type { Facts } from './facts.ts'
import type { Finding, Result } from './finding.ts'
import { duration, listed } from '../platform/units.ts'

/** Kafka's default for message.timestamp.after.max.ms: it refuses records with times of an API that are further ahead. */
const KAFKA_REFUSES_MS = 3_600_000
/** Events may wait this long for Kafka before it appends them: longer than DELIVERY_TIMEOUT_MS usually is. */
const LATE_S = 60
const MEND = 'Let NTP set the clocks of all machines (timedatectl set-ntp true).'

/** Clocks that differ: PostgreSQL's and this machine's, a producer's or Kafka's and this machine's, an API's and Kafka's. */
export function checkClocks({
  kafka,
  postgres,
  sink,
}: Pick<Facts, 'kafka' | 'postgres' | 'sink'>): Finding[] {
  const isAppendTime = hasAppendTime(kafka)
  const findings = [
    ...postgresClock(postgres, isAppendTime),
    ...timesInFuture(kafka, isAppendTime),
    ...apiClocks(sink),
  ]
  if (findings.length > 0 || !postgres.ok) return findings
  const inFuture = kafka.ok ? kafka.value.inFuture : undefined
  const writers = inFuture?.ok === true ? ', and no record in Kafka has a timestamp in the future' : ''
  return [{ check: 'clocks', level: 'ok', text: `PostgreSQL's clock agrees with this machine's${writers}.` }]
}

function hasAppendTime(kafka: Result<KafkaFacts>): boolean {
  const configs = kafka.ok ? kafka.value.topicConfigs : undefined
  return configs?.ok === true && configs.value['message.timestamp.type'] === 'LogAppendTime'
}

function postgresClock(postgres: Result<PostgresFacts>, isAppendTime: boolean): Finding[] {
  if (!postgres.ok) return []
  const { aheadMs, uncertaintyMs } = postgres.value.clock
  const skewMs = Math.abs(aheadMs) - uncertaintyMs
  if (skewMs <= CLOCK_TOLERANCE_MS) return []
  const refuses = isAppendTime
    ? ''
    : ', and Kafka refuses events from an API whose clock is more than an hour ahead'
  return [
    {
      check: 'clocks',
      level: skewMs > KAFKA_REFUSES_MS ? 'critical' : 'warning',
      text: `PostgreSQL's clock is ${duration(Math.abs(aheadMs) / 1_000)} ${aheadMs > 0 ? 'ahead of' : 'behind'} this machine's: times in the tables do not match${refuses}.`,
      mend: MEND,
    },
  ]
}

function timesInFuture(kafka: Result<KafkaFacts>, isAppendTime: boolean): Finding[] {
  const inFuture = kafka.ok ? kafka.value.inFuture : undefined
  if (inFuture?.ok !== true || inFuture.value.length === 0) return []
  const whose = isAppendTime
    ? "a broker's clock is ahead of this machine's."
    : "a producer's clock is ahead of this machine's. Kafka refuses records that are more than an hour ahead."
  return [
    {
      check: 'clocks',
      level: 'warning',
      text: `Partition ${listed(inFuture.value)} holds records with timestamps in the future: ${whose}`,
      mend: MEND,
    },
  ]
}

/** What the sink saw lately (sink-worker/append-delay.ts): Kafka's time of a record minus the API's received_at. */
function apiClocks({ answer }: ServiceFacts): Finding[] {
  const delays = answer.ok ? answer.value.health.append_delay_s : undefined
  if (typeof delays !== 'object' || delays === null) return []
  const { min, max } = delays as Record<string, unknown>
  const findings: Finding[] = []
  if (typeof min === 'number' && min * 1_000 < -CLOCK_TOLERANCE_MS)
    findings.push({
      check: 'clocks',
      level: 'warning',
      text: `Kafka has events ${duration(-min)} before their received_at: the clock of an API is ahead of Kafka's.`,
      mend: MEND,
    })
  if (typeof max === 'number' && max > LATE_S)
    findings.push({
      check: 'clocks',
      level: 'note', // other producers may send what was received long ago
      text: `Kafka has events ${duration(max)} after their received_at: the clock of an API is behind Kafka's, or another producer sends older events.`,
      mend: MEND,
    })
  return findings
}
