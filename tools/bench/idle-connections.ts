// Holds idle keep-alive connections in a separate process. Each sends one GET /livez. On input or the end of stdin each
// sends another one, which is answered only if the connection is still open. See growth-idle.ts.
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { localTarget } from '../load/load.ts'

const WAVE = 100 // fits a listen backlog
const ANSWER_LIMIT_MS = 10_000

const [url = '', count = '0'] = process.argv.slice(2)
const { host, port } = localTarget(url)
const request = `GET /livez HTTP/1.1\r\nHost: ${host}:${port}\r\nConnection: keep-alive\r\n\r\n`
const sockets: Socket[] = []

/** Sends a request; resolves to whether it is answered 200. */
async function isAnswered(socket: Socket): Promise<boolean> {
  return await new Promise((resolve) => {
    const end = (isOk: boolean): void => {
      clearTimeout(timer)
      socket.off('data', onData).off('close', onClose)
      resolve(isOk)
    }
    const onData = (chunk: Buffer): void => end(chunk.toString('latin1').startsWith('HTTP/1.1 200 '))
    const onClose = (): void => end(false)
    const timer = setTimeout(end, ANSWER_LIMIT_MS, false)
    if (socket.destroyed) return end(false)
    socket.on('data', onData).on('close', onClose).write(request)
  })
}

async function askAll(): Promise<void> {
  let answered = 0
  for (let first = 0; first < sockets.length; first += WAVE) {
    const answers = await Promise.all(sockets.slice(first, first + WAVE).map(isAnswered))
    answered += answers.filter(Boolean).length
  }
  process.stdout.write(`${answered}\n`)
}

for (let n = 0; n < Number(count); n += 1) {
  const socket = connect({ host, port })
  socket.on('error', () => {}) // `close` follows and is counted
  sockets.push(socket)
  if (n % WAVE === WAVE - 1) await once(socket, 'connect')
}
await askAll()
process.stdin.resume()
await Promise.race([once(process.stdin, 'data'), once(process.stdin, 'end')])
await askAll()
process.exit()
