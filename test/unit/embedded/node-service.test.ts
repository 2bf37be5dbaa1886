import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { NodeService } from '../../../embedded/node-service.ts'

test('the health of a service is asked for on its port for operators, if it has one', async (t) => {
  const server = createServer((request, response) => response.end(JSON.stringify({ asked: request.url })))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close().closeAllConnections())
  const { port } = server.address() as AddressInfo
  const options = { name: 'API', main: 'none.ts', env: {}, logFile: '/none', pidFile: '/none' }
  for (const ports of [{ port }, { port: 1, opsPort: port }, { port, opsPort: undefined }]) {
    const service = new NodeService({ ...options, ...ports })
    assert.deepEqual(await service.health(), { asked: '/health' })
    assert.equal(service.opsUrl, `http://127.0.0.1:${port}`)
  }
  assert.equal(await new NodeService({ ...options, port, opsPort: 1 }).health(), undefined)
})
