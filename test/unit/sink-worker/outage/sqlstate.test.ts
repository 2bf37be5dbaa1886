import assert from 'node:assert/strict'
import { test } from 'node:test'
import { InvariantError, ownCode } from '../../../../platform/errors.ts'
import {
  classifyError,
  describeError,
  type ErrorClass,
  sqlstateOf,
} from '../../../../sink-worker/outage/sqlstate.ts'

function errorWith(code: string | undefined, message = 'no'): Error {
  if (code === undefined) return new Error(message)
  // Node's own error codes start with E; their errors have no severity.
  return Object.assign(new Error(message), code.startsWith('E') ? { code } : { code, severity: 'ERROR' })
}

/** SQLSTATEs by error class; the names are those of the PostgreSQL appendix on error codes. */
const TABLE: [ErrorClass, codes: Record<string, string>][] = [
  [
    'outage',
    {
      '08000': 'connection_exception',
      '08006': 'connection_failure',
      '08P01': 'protocol_violation',
      '25006': 'read_only_sql_transaction',
      '25P03': 'idle_in_transaction_session_timeout',
      '25P04': 'transaction_timeout',
      '3D000': 'invalid_catalog_name',
      '53000': 'insufficient_resources',
      '53100': 'disk_full',
      '53200': 'out_of_memory',
      '53300': 'too_many_connections',
      '55006': 'object_in_use',
      '57014': 'query_canceled',
      '57P01': 'admin_shutdown',
      '57P02': 'crash_shutdown',
      '57P03': 'cannot_connect_now',
      '57P05': 'idle_session_timeout',
      '58000': 'system_error',
      '58030': 'io_error',
    },
  ],
  [
    'contention',
    {
      '40000': 'transaction_rollback',
      '40001': 'serialization_failure',
      '40003': 'statement_completion_unknown',
      '40P01': 'deadlock_detected',
    },
  ],
  ['outage', { '55P03': 'lock_not_available' }],
  ['unique_violation', { '23505': 'unique_violation' }],
  [
    'row',
    {
      '22000': 'data_exception',
      '22001': 'string_data_right_truncation',
      '22003': 'numeric_value_out_of_range',
      '22008': 'datetime_field_overflow',
      '22021': 'character_not_in_repertoire',
      '22P02': 'invalid_text_representation',
      '22P03': 'invalid_binary_representation',
      '22P05': 'untranslatable_character',
      '23000': 'integrity_constraint_violation',
      '23502': 'not_null_violation',
      '23503': 'foreign_key_violation',
      '23P01': 'exclusion_violation',
      '44000': 'with_check_option_violation',
      '54000': 'program_limit_exceeded',
      '54001': 'statement_too_complex',
      P0001: 'raise_exception',
      P0004: 'assert_failure',
    },
  ],
  [
    'halt',
    {
      '0A000': 'feature_not_supported',
      '25P02': 'in_failed_sql_transaction',
      '28P01': 'invalid_password',
      '42501': 'insufficient_privilege',
      '42703': 'undefined_column',
      '42804': 'datatype_mismatch',
      '42P01': 'undefined_table',
      '55000': 'object_not_in_prerequisite_state',
      P0002: 'no_data_found',
      XX000: 'internal_error',
      XX001: 'data_corrupted',
      MY001: 'custom code raised by a trigger',
      '99999': 'unknown',
    },
  ],
]

for (const [kind, codes] of TABLE) {
  test(`${kind}: ${Object.values(codes).join(', ')}`, () => {
    for (const code of Object.keys(codes)) {
      assert.equal(sqlstateOf(errorWith(code)), code)
      assert.equal(classifyError(errorWith(code)), kind, code)
    }
  })
}

test('a check_violation is about the row, except that of a leaf that an ATTACH has just narrowed', () => {
  const kindOf = (more: object) => classifyError(Object.assign(errorWith('23514'), more))
  assert.equal(kindOf({ constraint: 'events_amount_check' }), 'row')
  assert.equal(kindOf({ routine: 'exec_stmt_raise' }), 'row', "a user's trigger")
  assert.equal(kindOf({ routine: 'ExecPartitionCheckEmitError' }), 'contention')
  assert.equal(kindOf({ routine: 'ExecFindPartition' }), 'contention')
  const where = 'COPY events, line 1'
  assert.equal(kindOf({ routine: 'ExecFindPartition', where }), 'contention')
  const ofTrigger = `SQL statement "INSERT INTO audit VALUES (1)"\nPL/pgSQL function note() line 1 at SQL statement\n${where}`
  assert.equal(kindOf({ routine: 'ExecFindPartition', where: ofTrigger }), 'row', 'of the table of a trigger')
  assert.equal(kindOf({ routine: 'a_function_in_C', where }), 'row')
  assert.equal(kindOf({ constraint: 'firehose_not_era', routine: 'ExecConstraints' }), 'contention')
})

test('an error without a SQLSTATE is a connection error', () => {
  const codes = [
    'ECONNREFUSED',
    'ECONNRESET',
    'EPIPE',
    'ETIMEDOUT',
    'EAI_AGAIN',
    'ENOTFOUND',
    'ERR_TLS_CERT_ALTNAME_INVALID',
  ]
  for (const code of [...codes, undefined]) {
    assert.equal(sqlstateOf(errorWith(code)), undefined, code)
    assert.equal(classifyError(errorWith(code)), 'outage', code)
  }
  for (const odd of ['a string', 7, { code: 7 }, { code: '' }]) {
    assert.equal(sqlstateOf(odd), undefined)
    assert.equal(classifyError(odd), 'outage')
  }
})

test('a programming error is not an outage', () => {
  assert.equal(classifyError(new InvariantError('x')), 'bug')
  for (const Kind of [TypeError, RangeError, ReferenceError, SyntaxError]) {
    assert.equal(classifyError(new Kind('x')), 'halt')
    assert.equal(classifyError(Object.assign(new Kind('x'), { code: 'ERR_OUT_OF_RANGE' })), 'halt')
    const ours = (): never =>
      ownCode(() => {
        throw new Kind('x')
      })
    assert.throws(ours, (error) => classifyError(error) === 'bug')
  }
})

test('an error is one line: its message, its code unless the message has it, a remedy, never the row', () => {
  assert.equal(describeError(errorWith('53100', 'could not extend file')), 'could not extend file (53100)')
  assert.equal(
    describeError(errorWith('ECONNREFUSED', 'connect ECONNREFUSED 1.2.3.4')),
    'connect ECONNREFUSED 1.2.3.4',
  )
  const twoAddresses = new AggregateError([
    errorWith('ECONNREFUSED', 'connect ECONNREFUSED ::1:1'),
    errorWith('ECONNREFUSED', 'connect ECONNREFUSED 127.0.0.1:1'),
  ])
  assert.equal(
    describeError(Object.assign(twoAddresses, { code: 'ECONNREFUSED' })),
    'connect ECONNREFUSED ::1:1, connect ECONNREFUSED 127.0.0.1:1',
  )
  assert.equal(describeError(errorWith('ECONNREFUSED', '')), 'Error (ECONNREFUSED)')
  assert.equal(describeError(errorWith(undefined, 'just so')), 'just so')
  assert.match(
    describeError(errorWith('42P01', 'no relation')),
    /^no relation \(42P01\): run "npx firehose migrate"/,
  )
  const withRow = Object.assign(errorWith('23514', 'violates check'), {
    constraint: 'events_amount_check',
    detail: 'Failing row contains (secret).',
  })
  assert.equal(describeError(withRow), 'violates check (23514)')
  const noLeaf = Object.assign(errorWith('23514', 'no partition'), { routine: 'ExecFindPartition' })
  assert.match(describeError(noLeaf), /: run "npx firehose maintain --once"/)
})
