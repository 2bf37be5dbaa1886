import { causeChain } from '../errors.ts'
import { PublishError } from '../../producer-api/delivery/publisher.ts'

/** The broker, or the topic's settings, will not take these bytes however often they come. */
const TOO_LARGE = new Set(['MESSAGE_TOO_LARGE', 'RECORD_LIST_TOO_LARGE'])
const PERMANENT = new Set([
  ...TOO_LARGE,
  'INVALID_TIMESTAMP',
  'INVALID_RECORD',
  'INVALID_REQUIRED_ACKS',
  'POLICY_VIOLATION',
  'UNSUPPORTED_FOR_MESSAGE_FORMAT',
  'CLUSTER_AUTHORIZATION_FAILED',
  'INVALID_TOPIC_EXCEPTION',
  'TOPIC_AUTHORIZATION_FAILED',
  'SASL_AUTHENTICATION_FAILED',
])

/** The broker answers these to a produce request only, and only before it appends anything. */
const NOTHING_WRITTEN = new Set([
  ...TOO_LARGE,
  'CORRUPT_MESSAGE',
  'NOT_LEADER_FOR_PARTITION',
  'NOT_ENOUGH_REPLICAS',
  'INVALID_TIMESTAMP',
  'INVALID_RECORD',
  'INVALID_REQUIRED_ACKS',
  'POLICY_VIOLATION',
  'UNSUPPORTED_FOR_MESSAGE_FORMAT',
  'CLUSTER_AUTHORIZATION_FAILED',
])
/** The same, but a metadata request that follows a failed send can answer them too. */
const NOTHING_WRITTEN_IF_DIRECT = new Set(['INVALID_TOPIC_EXCEPTION', 'TOPIC_AUTHORIZATION_FAILED'])

/**
 * What a failed `send` of kafkajs means.
 *
 * Its own `retriable` is no help: it says false for every error that it has given up on. And the error that it throws
 * need not be the one of the send: after a lost connection it reconnects first, and throws that failure instead. So
 * only what is sure counts: records that never came into a request were never written, and some answers of the broker say
 * that nothing was appended. All else may have been written.
 *
 * @param mayBeWritten whether the records came as far as a produce request that may have gone out (hand-over.ts)
 */
export function classifySendError(error: unknown, mayBeWritten: boolean): PublishError {
  if (error instanceof PublishError) return error
  const chain = causeChain(error)
  const type = chain.map((link) => link.type).find((value) => typeof value === 'string')
  const systemCode = chain.map((link) => link.code).find((value) => typeof value === 'string')
  const innermost = chain.at(-1)
  const code = type ?? systemCode ?? innermost?.name ?? 'UNKNOWN'
  const direct = chain.length === 1
  const nothingWritten =
    !mayBeWritten || NOTHING_WRITTEN.has(code) || (direct && NOTHING_WRITTEN_IF_DIRECT.has(code))
  const authenticationFailed = chain.some((link) => link.name === 'KafkaJSSASLAuthenticationError')
  return new PublishError(innermost?.message ?? String(error), {
    code,
    retryable: !PERMANENT.has(code) && !authenticationFailed,
    mayHaveWritten: !nothingWritten,
    tooLarge: TOO_LARGE.has(code),
    cause: error,
  })
}
