import assert from 'node:assert/strict'
import { test } from 'node:test'
import { apiOpsUrl } from '../../../cli/service-url.ts'

const API = 'http://127.0.0.1:8000'

test('/health of the API is at its own address, unless OPS_PORT or API_OPS_URL says otherwise', () => {
  assert.equal(apiOpsUrl(API, undefined, {}), API)
  assert.equal(apiOpsUrl(API, undefined, { OPS_PORT: '9000' }), 'http://127.0.0.1:9000')
  assert.equal(apiOpsUrl('http://[::1]/', undefined, { OPS_PORT: '9000' }), 'http://[::1]:9000')
  const both = { OPS_PORT: '9000', API_OPS_URL: 'http://ops.example:1' }
  assert.equal(apiOpsUrl(API, undefined, both), 'http://ops.example:1')
})

test('with another address of the API, API_OPS_URL does not count, because it belongs to the first one', () => {
  const other = 'http://other.example:8000'
  assert.equal(apiOpsUrl(other, other, { API_OPS_URL: 'http://ops.example:1' }), other)
  const both = { OPS_PORT: '9000', API_OPS_URL: 'http://ops.example:1' }
  assert.equal(apiOpsUrl(other, other, both), 'http://other.example:9000')
})

test('mistakes are listed even if the address of the API is not known', () => {
  assert.throws(() => apiOpsUrl(undefined, undefined, { OPS_PORT: 'x', API_OPS_URL: 'x' }), {
    problems: [
      'OPS_PORT must be a whole number from 0 to 65535, not "x"',
      'API_OPS_URL must be an address such as http://127.0.0.1:8000, not "x"',
    ],
  })
})

test('what Kubernetes sets for a Service named ops is no port', () => {
  assert.equal(apiOpsUrl(API, undefined, { OPS_PORT: 'tcp://10.0.0.9:9000' }), API)
})
