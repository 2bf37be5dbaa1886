import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseServers, type Servers } from '../../../kafka/servers.ts'
import { seedAddress } from '../../../kafka/socket.ts'

function parsed(...list: string[]): Servers & { problems: string[] } {
  const problems: string[] = []
  return { ...parseServers(list, problems), problems }
}

test('names, IPv4 and IPv6 addresses are brokers', () => {
  const list = [
    'kafka-1.example.com:9092',
    'my_broker:1',
    '10.0.0.7:65535',
    '[::1]:19092',
    '[fe80::1%eth0]:9092',
  ]
  assert.deepEqual(parsed(...list), { brokers: list, protocol: undefined, problems: [] })
})

test("Kafka's names of protocols are understood", () => {
  assert.deepEqual(parsed('SASL_SSL://a:9092', 'SASL_SSL://[::1]:9092'), {
    brokers: ['a:9092', '[::1]:9092'],
    protocol: 'SASL_SSL',
    problems: [],
  })
  assert.deepEqual(parsed('PLAINTEXT://a:9092').brokers, ['a:9092'])
})

test('what is no address is refused with a sentence', () => {
  for (const [given, reason] of [
    ['kafka', /must be host:port or \[IPv6 address\]:port, not "kafka"/],
    ['::1:9092', /must be host:port or \[IPv6 address\]:port/],
    ['[::1]', /must be host:port/],
    ['[kafka]:9092', /must be host:port/],
    ['[::g]:9092', /must be host:port/],
    ['kafka:', /must be host:port/],
    [':9092', /must be host:port/],
    ['kafka:9092/topic', /must be host:port/],
    ['my kafka:9092', /must be host:port/],
    ['kafka:99999', /must have ports from 1 to 65535, not "kafka:99999"/],
    ['kafka:0', /must have ports from 1 to 65535/],
    [
      'http://kafka:9092',
      /begins with "http:\/\/", which must be one of PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL/,
    ],
    ['sasl_ssl://kafka:9092', /begins with "sasl_ssl:\/\/"/],
  ] as const) {
    const { problems } = parsed(given)
    assert.equal(problems.length, 1, given)
    assert.match(problems[0] ?? '', reason)
  }
  assert.match(parsed().problems.join(), /must name a broker/)
  assert.match(parsed('SSL://a:1', 'b:1').problems.join(), /the same protocol for each broker/)
  assert.match(parsed('SSL://a:1', 'SASL_SSL://b:1').problems.join(), /the same protocol for each broker/)
})

test('a password in an address is not repeated', () => {
  const { problems } = parsed('SASL_SSL://user:hunter2@kafka:9092')
  assert.equal(problems.length, 1)
  assert.doesNotMatch(problems.join(), /hunter2/)
})

test('kafkajs splits no address at the wrong colon', () => {
  assert.equal(seedAddress('kafka:9092'), 'kafka:9092')
  assert.equal(seedAddress('[::1]:9092').split(':').length, 2)
})
