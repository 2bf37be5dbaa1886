// The baseline of POST /events: JSON.parse on each line of the same bodies. Prints CPU microseconds per event.
import { eventOf, openRun } from '../../load/events.ts'

const [, , seed = '', ...counts] = process.argv
const [events = 0, passes = 0] = counts.map(Number)
const run = openRun({ seed, startedAtMs: Date.now() })
const bodies = Array.from({ length: events / 100 }, (_, body) =>
  Buffer.from(Array.from({ length: 100 }, (_line, n) => eventOf(run, body * 100 + n).body).join('\n')),
)
let parsed = 0
let before = process.cpuUsage()
for (let pass = 0; pass <= passes; pass += 1) {
  if (pass === 1) [parsed, before] = [0, process.cpuUsage()] // the first pass is the warm-up
  for (const body of bodies) {
    for (const line of body.toString().split('\n')) if ('user_id' in JSON.parse(line)) parsed += 1
  }
}
const { user, system } = process.cpuUsage(before)
if (parsed !== events * passes) throw new Error(`${parsed} of ${events * passes} lines were parsed`)
process.stdout.write(`${(user + system) / parsed}\n`)
