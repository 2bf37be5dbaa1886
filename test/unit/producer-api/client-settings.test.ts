import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ConfigError } from '../../../platform/env.ts'
import { isWithin, parseAddress } from '../../../producer-api/http/ip-address.ts'
import { readApiConfig } from '../../../producer-api/config.ts'

function problemsOf(env: NodeJS.ProcessEnv): string[] {
  try {
    readApiConfig(env)
  } catch (error) {
    assert.ok(error instanceof ConfigError)
    return error.problems
  }
  return []
}

const captured = (CAPTURE_CLIENT: string) => readApiConfig({ CAPTURE_CLIENT }).client

test('nothing of the client is stored unless CAPTURE_CLIENT says so', () => {
  assert.deepEqual(readApiConfig({}).client, { address: 'none', userAgent: false, proxies: undefined })
  assert.deepEqual(captured('ip'), { address: 'whole', userAgent: false, proxies: undefined })
  assert.deepEqual(captured('USER_AGENT, ip-truncated'), {
    address: 'network',
    userAgent: true,
    proxies: undefined,
  })
})

test('TRUST_PROXY takes networks, addresses, and the words loopback and private', () => {
  const { proxies } = readApiConfig({
    CLIENT_ADDRESS_HEADER: 'X-Forwarded-For',
    TRUST_PROXY: 'Loopback, private, 203.0.113.0/24 ,2001:db8::7',
  }).client
  assert.equal(proxies?.header, 'x-forwarded-for')
  const isTrusted = (text: string): boolean => isWithin(proxies?.trusted ?? [], parseAddress(text)!)
  const trusted = [
    '127.0.0.9',
    '::1',
    '10.1.1.1',
    '172.31.0.1',
    '192.168.9.9',
    'fd00::1',
    '203.0.113.9',
    '2001:db8::7',
  ]
  const others = [
    '128.0.0.1',
    '::2',
    '11.0.0.1',
    '172.32.0.1',
    '192.169.0.1',
    'fe80::1',
    '203.0.114.1',
    '2001:db8::8',
  ]
  for (const text of trusted) assert.ok(isTrusted(text), text)
  for (const text of others) assert.ok(!isTrusted(text), text)
})

test('each mistake is named with its remedy, and the remedy cures it', () => {
  const table: [NodeJS.ProcessEnv, RegExp, remedy: NodeJS.ProcessEnv][] = [
    [
      { CAPTURE_CLIENT: 'ip,agent' },
      /^CAPTURE_CLIENT must be a list of ip, ip-truncated, user_agent, not "agent"$/,
      { CAPTURE_CLIENT: 'ip,user_agent' },
    ],
    [{ CAPTURE_CLIENT: 'ip, ip-truncated' }, /either ip or ip-truncated/, { CAPTURE_CLIENT: 'ip' }],
    [
      { CLIENT_ADDRESS_HEADER: 'X-Forwarded-For' },
      /^CLIENT_ADDRESS_HEADER needs TRUST_PROXY, .* such as 10\.0\.0\.0\/8 or loopback/,
      { CLIENT_ADDRESS_HEADER: 'X-Forwarded-For', TRUST_PROXY: '10.0.0.0/8,loopback' },
    ],
    [
      { TRUST_PROXY: 'private' },
      /^TRUST_PROXY needs CLIENT_ADDRESS_HEADER, .* such as X-Forwarded-For$/,
      { TRUST_PROXY: 'private', CLIENT_ADDRESS_HEADER: 'X-Forwarded-For' },
    ],
    [
      { TRUST_PROXY: 'lan, 10.0.0.0/33', CLIENT_ADDRESS_HEADER: 'X-Forwarded-For' },
      /^TRUST_PROXY must be a list .* not "lan"$/,
      { TRUST_PROXY: 'private, 10.0.0.0/8', CLIENT_ADDRESS_HEADER: 'X-Forwarded-For' },
    ],
    [
      { TRUST_PROXY: 'private', CLIENT_ADDRESS_HEADER: 'X-Real-IP, X-Forwarded-For' },
      /^CLIENT_ADDRESS_HEADER must be the name of one header, such as X-Forwarded-For, not "X-Real-IP, /,
      { TRUST_PROXY: 'private', CLIENT_ADDRESS_HEADER: 'X-Forwarded-For' },
    ],
    [
      { TRUST_PROXY: 'private', CLIENT_ADDRESS_HEADER: 'Forwarded' },
      /^CLIENT_ADDRESS_HEADER cannot be Forwarded .*: have the proxies send X-Forwarded-For, and name that$/,
      { TRUST_PROXY: 'private', CLIENT_ADDRESS_HEADER: 'X-Forwarded-For' },
    ],
  ]
  for (const [env, expected, remedy] of table) {
    assert.match(problemsOf(env)[0] ?? '', expected)
    assert.deepEqual(problemsOf(remedy), [])
  }
})

test('all mistakes are reported at once, with those of other settings', () => {
  const problems = problemsOf({
    PORT: 'x',
    CAPTURE_CLIENT: 'ip,ip-truncated,everything',
    CLIENT_ADDRESS_HEADER: 'a b',
    TRUST_PROXY: '1.2.3,10.0.0.0/33',
    KAFKA_BOOTSTRAP_SERVERS: 'nowhere',
  })
  assert.deepEqual(
    problems.map((problem) => problem.split(' ')[0]),
    [
      'PORT',
      'CAPTURE_CLIENT',
      'CAPTURE_CLIENT',
      'TRUST_PROXY',
      'TRUST_PROXY',
      'CLIENT_ADDRESS_HEADER',
      'KAFKA_BOOTSTRAP_SERVERS',
    ],
  )
})
