import { causeChain } from '../errors.ts'
import { PublishError } from '../../producer-api/errors.ts'

/** Errors for which sending the same bytes again cannot succeed. */
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

/** Errors that the broker returns only for produce requests, and only before it appends anything. */
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
/** The same, but these may also come from a metadata request that follows a failed send. */
const NOTHING_WRITTEN_IF_DIRECT = new Set(['INVALID_TOPIC_EXCEPTION', 'TOPIC_AUTHORIZATION_FAILED'])

/**
 * Classifies an error of kafkajs' `send`.
 *
 * Its `retriable` property does not help: it is false for every error after the last retry. The error may also be a
 * different one than that of the send: after a lost connection kafkajs reconnects, and throws the error of that. So the
 * records count as not written only if this is certain: they were never part of a request, or the broker returned an
 * error that implies it. In all other cases they may have been written.
 *
 * @param mayBeWritten whether the records were part of a produce request that may have been sent (prepare-send.ts)
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
