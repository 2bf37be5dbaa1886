import assert from 'node:assert/strict'
import { test } from 'node:test'
import { additions } from '../../../cli/environment.ts'

test('.env adds what the environment does not have, as docker compose reads it', () => {
  const file = `# a comment
KAFKA_TOPIC=orders # the other one
export LOG_LEVEL="debug"
PASSWORD='p$w#d'
LINGER_MS=7
EMPTY=1
`
  const { added, ignored } = additions({ LINGER_MS: '9', EMPTY: '' }, file)
  assert.deepEqual(added, { KAFKA_TOPIC: 'orders', LOG_LEVEL: 'debug', PASSWORD: 'p$w#d' })
  assert.deepEqual(ignored, [])
})

test('a value that only docker compose completes is ignored; in single quotes it is taken as it is', () => {
  const { added, ignored } = additions({ C: '1' }, 'A=a$b\nB="${A}"\nC=$A\nD=d # costs $1\nE=\'a$b\'')
  assert.deepEqual(ignored, ['A', 'B'])
  assert.deepEqual(added, { D: 'd', E: 'a$b' })
})

test('the names of docker-compose.yml for addresses on this machine', () => {
  const file = 'API_PORT=9000-9001\nPOSTGRES_PORT=15500\nKAFKA_PORT=19200\n'
  const names = { API_PORT: '9000-9001', POSTGRES_PORT: '15500', KAFKA_PORT: '19200' }
  const ours = { PORT: '9000', PG_PORT: '15500' }
  const kafka = { KAFKA_BOOTSTRAP_SERVERS: '127.0.0.1:19200' }
  assert.deepEqual(additions({}, file).added, { ...names, ...ours, ...kafka })
  assert.deepEqual(additions({}, file, false).added, { ...names, ...ours }, 'npm start')
  assert.deepEqual(additions(names, '').added, { ...ours, ...kafka })
  const own = { PORT: '1', PG_PORT: '2', KAFKA_BOOTSTRAP_SERVERS: 'kafka:9092' }
  assert.deepEqual(additions(own, file).added, names)
})

test('what Kubernetes sets for a Service says nothing about this machine', () => {
  const link = 'tcp://10.0.0.9:8000'
  assert.deepEqual(additions({ API_PORT: link, POSTGRES_PORT: link, KAFKA_PORT: link }, '').added, {})
})
