import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import test from 'node:test'
import { PublishError } from '../../../../producer-api/errors.ts'
import { classifySendError } from '../../../../kafka/producer/publish-errors.ts'
import { kafkaErrorType, rootMessage } from '../../../../kafka/errors.ts'

const require = createRequire(import.meta.url)
interface ErrorClass {
  new (...parameters: unknown[]): Error
}
const errors: Record<string, ErrorClass> = require('kafkajs/src/errors')
const {
  createErrorFromCode,
}: { createErrorFromCode: (code: number) => Error } = require('kafkajs/src/protocol/error')

function make(name: string, ...parameters: unknown[]): Error {
  const Class = errors[name]
  assert.ok(Class, name)
  return new Class(...parameters)
}

/** The error of `send` after the last retry of a retryable error. */
const exhausted = (error: Error): Error =>
  make('KafkaJSNumberOfRetriesExceeded', error, { retryCount: 0, retryTime: 100 })
/** The error of `send` if its error handling throws. */
const wrapped = (error: Error): Error => make('KafkaJSNonRetriableError', error, { cause: error })

const facts = ({ code, retryable, mayHaveWritten, tooLarge }: PublishError) => ({
  code,
  retryable,
  mayHaveWritten,
  tooLarge,
})

test('an error before the records are part of a request means that nothing was written', () => {
  const refused = make('KafkaJSConnectionError', 'Connection error', { code: 'ECONNREFUSED' })
  assert.deepEqual(facts(classifySendError(exhausted(refused), false)), {
    code: 'ECONNREFUSED',
    retryable: true,
    mayHaveWritten: false,
    tooLarge: false,
  })
})

test('the same error afterwards may hide the loss of a request that was sent', () => {
  const refused = make('KafkaJSConnectionError', 'Connection error', { code: 'ECONNREFUSED' })
  assert.equal(classifySendError(exhausted(refused), true).mayHaveWritten, true)
})

test('errors of the broker for a produce request are classified', () => {
  // Error code and name, whether a retry may help, whether records may have been written.
  const table: [number, string, boolean, boolean][] = [
    [-1, 'UNKNOWN', true, true],
    [3, 'UNKNOWN_TOPIC_OR_PARTITION', true, true],
    [5, 'LEADER_NOT_AVAILABLE', true, true],
    [6, 'NOT_LEADER_FOR_PARTITION', true, false],
    [7, 'REQUEST_TIMED_OUT', true, true],
    [10, 'MESSAGE_TOO_LARGE', false, false],
    [18, 'RECORD_LIST_TOO_LARGE', false, false],
    [19, 'NOT_ENOUGH_REPLICAS', true, false],
    [20, 'NOT_ENOUGH_REPLICAS_AFTER_APPEND', true, true],
    [31, 'CLUSTER_AUTHORIZATION_FAILED', false, false],
    [32, 'INVALID_TIMESTAMP', false, false],
    [44, 'POLICY_VIOLATION', false, false],
    [56, 'KAFKA_STORAGE_ERROR', true, true],
    [87, 'INVALID_RECORD', false, false],
    [89, 'KAFKAJS_UNKNOWN_ERROR_CODE', true, true],
  ]
  for (const [number, code, retryable, mayHaveWritten] of table) {
    const tooLarge = number === 10 || number === 18
    for (const error of [createErrorFromCode(number), exhausted(createErrorFromCode(number))]) {
      assert.deepEqual(
        facts(classifySendError(error, true)),
        { code, retryable, mayHaveWritten, tooLarge },
        code,
      )
    }
  }
})

test('an authorization error is certain only as the response to the produce request itself', () => {
  const denied = createErrorFromCode(29)
  assert.deepEqual(facts(classifySendError(denied, true)), {
    code: 'TOPIC_AUTHORIZATION_FAILED',
    retryable: false,
    mayHaveWritten: false,
    tooLarge: false,
  })
  assert.equal(classifySendError(wrapped(denied), true).mayHaveWritten, true)
  assert.equal(classifySendError(wrapped(denied), false).mayHaveWritten, false)
})

test('after a lost or silent connection records may be written; wrong credentials are not retried', () => {
  const closed = make('KafkaJSConnectionClosedError', 'Closed connection', { host: 'h', port: 1 })
  assert.deepEqual(facts(classifySendError(exhausted(closed), true)), {
    code: 'KafkaJSConnectionClosedError',
    retryable: true,
    mayHaveWritten: true,
    tooLarge: false,
  })
  const silent = make('KafkaJSRequestTimeoutError', 'Request Produce timed out')
  assert.equal(classifySendError(exhausted(silent), true).mayHaveWritten, true)
  const credentials = make('KafkaJSSASLAuthenticationError', 'Authentication failed')
  assert.equal(classifySendError(wrapped(credentials), false).retryable, false)
})

test('after any other error the records may be written', () => {
  for (const thrown of [new TypeError('oops'), 'oops', undefined, null, 7, { message: 'oops' }]) {
    const error = classifySendError(thrown, true)
    assert.ok(error instanceof PublishError)
    assert.deepEqual([error.retryable, error.mayHaveWritten], [true, true])
  }
  const known = new PublishError('known', { code: 'X', retryable: false, mayHaveWritten: false })
  assert.equal(classifySendError(known, true), known)
})

test('the chain of causes is followed to its end, even if it is circular', () => {
  const error = exhausted(createErrorFromCode(3))
  assert.equal(kafkaErrorType(error), 'UNKNOWN_TOPIC_OR_PARTITION')
  assert.equal(rootMessage(error), 'This server does not host this topic-partition')
  const circle: Error & { cause?: unknown } = new Error('round')
  circle.cause = circle
  assert.equal(rootMessage(circle), 'round')
})
