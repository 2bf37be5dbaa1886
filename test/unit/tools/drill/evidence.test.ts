import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { after, afterEach, before, beforeEach, test } from 'node:test'
import { HttpTap } from '../../../../tools/drill/http-tap.ts'
import { clientsToApi, halfOpen, responseLost } from '../../../../tools/drill/network-faults.ts'
import { type Part, serviceAnswers, stateOfProcess } from '../../../../tools/drill/part.ts'
import type { Fault } from '../../../../tools/drill/plan.ts'
import { api, frozen, killed } from '../../../../tools/drill/process-faults.ts'
import { twoSinks } from '../../../../tools/drill/rival-fault.ts'
import { Scene } from '../../../../tools/drill/scene.ts'
import type { Stage } from '../../../../tools/drill/stage.ts'
import { type Link, TcpProxy } from '../../../../tools/drill/tcp-proxy.ts'
import { stateOfContainer } from '../../../../tools/stack/backends.ts'
import { until } from '../../../support/until.ts'

/* A fault counts only if its own effect is observed. The processes and connections here are real. */

const SERVICE = `require('node:http').createServer((_, response) => response.end('well'))
  .listen(0, '127.0.0.1', function () { console.log(this.address().port) })`

let child: ChildProcess
let part: Part
/** Echoes each chunk. */
let echo: Server
let proxy: TcpProxy

before(async () => {
  echo = createServer((socket) => socket.on('error', () => {}).pipe(socket))
  echo.listen(0, '127.0.0.1')
  await once(echo, 'listening')
})
after(() => echo.close())
beforeEach(async () => {
  child = spawn(process.execPath, ['--eval', SERVICE], { stdio: ['ignore', 'pipe', 'inherit'] })
  const [line] = (await once(child.stdout as NodeJS.ReadableStream, 'data')) as [Buffer]
  const url = `http://127.0.0.1:${Number(line.toString())}`
  part = {
    name: 'API',
    pid: () => child.pid,
    start: async () => {},
    stop: async () => {},
    kill: async () => {
      child.kill('SIGKILL')
      await once(child, 'exit')
    },
    freeze: async () => {
      child.kill('SIGSTOP')
      await until('it stands still', () => stateOfProcess(child.pid) === 'frozen')
    },
    thaw: () => void child.kill('SIGCONT'),
    state: () => stateOfProcess(child.pid),
    answers: async () => await serviceAnswers(url),
  }
  proxy = await TcpProxy.start({ host: '127.0.0.1', port: (echo.address() as AddressInfo).port }, () => {
    return new HttpTap()
  })
})
afterEach(async () => {
  child.kill('SIGKILL')
  await proxy.close()
})

const FAULT: Fault = { index: 0, kind: 'api_killed', moment: 'under_load', sink: 0, arrives: false }

function scene(changed: Partial<Part> = {}, fault: Partial<Fault> = {}): Scene {
  const times = { brief: 100, long: 100, sinkLong: 100 }
  const stage = { api: { ...part, ...changed }, httpProxy: proxy, times } as unknown as Stage
  return new Scene(stage, { ...FAULT, ...fault }, new AbortController().signal)
}

test('a freeze counts if the part answered before, was frozen, and did not answer', async () => {
  assert.equal(await frozen(api, 'brief')(scene()), 'API was frozen for 100 ms and did not answer')
  assert.equal(stateOfProcess(child.pid), 'running')
})

test('a part that did not answer before it was frozen does not count', async () => {
  let asked = 0
  const answers = async () => asked++ > 0 && (await part.answers())
  assert.equal(await frozen(api, 'brief')(scene({ answers })), undefined)
})

test('a part that is only slow and was never frozen does not count', async () => {
  let asked = 0
  const answers = async () => asked++ === 0 && (await part.answers())
  assert.equal(await frozen(api, 'brief')(scene({ answers, freeze: async () => {} })), undefined)
})

test('a part that answers while reported as frozen does not count', async () => {
  assert.equal(await frozen(api, 'brief')(scene({ answers: async () => true })), undefined)
})

test('a kill counts if the process is gone, not merely if a probe fails', async () => {
  const silent = { answers: async () => false }
  assert.equal(await killed(api)(scene({ ...silent, kill: async () => {} })), undefined)
  assert.equal(await killed(api)(scene()), `process ${child.pid} of API is gone`)
})

test('a kill of a container counts if Docker reports it as exited', async () => {
  const container = (status: string) => ({
    pid: () => undefined,
    kill: async () => {},
    answers: async () => false,
    state: () => stateOfContainer(status),
  })
  for (const status of ['running', 'restarting', 'paused'])
    assert.equal(await killed(api)(scene(container(status))), undefined, status)
  assert.equal(await killed(api)(scene({ ...container('exited'), answers: async () => true })), undefined)
  assert.equal(await killed(api)(scene(container('exited'))), 'the container of API has exited')
})

test('a freeze of a container counts if Docker reports it as paused', async () => {
  const container = (status: string) => {
    let asked = 0
    return {
      pid: () => undefined,
      freeze: async () => {},
      thaw: async () => {},
      answers: async () => asked++ === 0,
      state: () => stateOfContainer(status),
    }
  }
  assert.equal(await frozen(api, 'brief')(scene(container('running'))), undefined)
  assert.match((await frozen(api, 'brief')(scene(container('paused')))) ?? '', /^API was frozen/)
})

test('a half-open connection without traffic does not count, even if it was held or delayed before', async () => {
  const { socket, link } = await connection()
  link.delayMs = 1
  await ask(socket, 'late')
  link.delayMs = 0
  link.hold()
  socket.write('held')
  await until('it stands', () => link.heldMessages === 1)
  const arrived = once(socket, 'data')
  link.release()
  await arrived
  assert.equal(await halfOpen(clientsToApi)(scene({}, { arrives: true })), undefined)
  socket.destroy()
})

test('a half-open connection counts if messages were held or its client gave up', async () => {
  const one = await connection()
  const striking = halfOpen(clientsToApi)(scene())
  one.socket.write('now')
  assert.equal(await striking, '1 messages were held back, 0 connections were given up')
  await until('it is broken', () => proxy.links().length === 0)
  const two = await connection()
  const again = halfOpen(clientsToApi)(scene())
  two.socket.destroy()
  assert.equal(await again, '0 messages were held back, 1 connections were given up')
})

test('a lost response counts if it was held at the proxy', async () => {
  const { socket, link } = await connection()
  link.delayMs = 1
  await ask(socket, 'late')
  link.delayMs = 0
  const striking = responseLost(scene({}, { moment: 'before_http_answer' }))
  socket.write('HTTP/1.1 202 ')
  assert.equal(await striking, 'the response was in transit and did not arrive')
  assert.equal(await responseLost(scene()), undefined, 'no response was held')
})

test('the rival is stopped even if the drill is stopped before the rival reports its count', async () => {
  let stopped = 0
  const stage = {
    sinks: [],
    startRival: async () => ({ metrics: async () => undefined }),
    stopRival: async () => void (stopped += 1),
  } as unknown as Stage
  await assert.rejects(twoSinks(new Scene(stage, { ...FAULT, kind: 'two_sinks' }, AbortSignal.abort())))
  assert.equal(stopped, 1)
})

async function connection(): Promise<{ socket: Socket; link: Link }> {
  const socket = connect(proxy.port, '127.0.0.1')
  socket.on('error', () => {})
  const others = proxy.links()
  await once(socket, 'connect')
  const link = await until('the proxy has it', () => proxy.links().find((one) => !others.includes(one)))
  return { socket, link }
}

async function ask(socket: Socket, text: string): Promise<void> {
  const answered = once(socket, 'data')
  socket.write(text)
  await answered
}
