// The baseline of POST /event: the cost of node:http reading a body and answering 202.
import { createServer } from 'node:http'

const answer = Buffer.from('{"status":"accepted","event_id":"01980000-0000-7000-8000-000000000000"}')
const server = createServer((request, response) => {
  const chunks: Buffer[] = []
  request.on('data', (chunk: Buffer) => chunks.push(chunk))
  request.on('end', () => {
    Buffer.concat(chunks)
    response.writeHead(202, { 'Content-Type': 'application/json', 'Content-Length': answer.length })
    response.end(answer)
  })
})
server.listen(Number(process.env.PORT), '127.0.0.1')
