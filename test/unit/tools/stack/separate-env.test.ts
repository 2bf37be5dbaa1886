import assert from 'node:assert/strict'
import { test } from 'node:test'
import { separateEnv } from '../../../../tools/stack/separate-env.ts'

test("a separate stack has the user's settings, except for where the API is and what it asks of its clients", () => {
  const kept = {
    PATH: '/bin',
    KAFKA_TOPIC: 'a',
    USER_ID_TYPE: 'text',
    SINK_HOST: '::',
    API_KEY: 'fh',
    KEY_X: '1',
  }
  const ofTheApi = {
    HOST: '0.0.0.0',
    API_ADDRESS: '0.0.0.0',
    PUBLISHED_ADDRESS: '0.0.0.0',
    OPS_PORT: '9000',
    API_KEYS_FILE: '/keys/keys.json',
    ALLOW_ANONYMOUS: 'false',
    JWT_JWKS_URL: 'https://id.example/keys',
    JWT_SUBJECT_IS_USER_ID: 'true',
    ADDRESS_REQUESTS_PER_SECOND: '1',
    ADDRESS_BURST: '1000',
    KEY_EVENTS_PER_SECOND: '1',
    KEY_BURST: '1000',
  }
  assert.deepEqual(separateEnv({ ...ofTheApi, ...kept }), kept)
})
